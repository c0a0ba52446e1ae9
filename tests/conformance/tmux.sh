# packages: tmux procps
tmux -S "$PWD/s" -f /dev/null new-session -d -x 80 -y 24 'sh -c "echo in tmux; exec cat"' && echo started
for _ in $(seq 100); do tmux -S "$PWD/s" capture-pane -p | grep -q 'in tmux' && break; sleep 0.05; done; tmux -S "$PWD/s" capture-pane -p | head -1
for i in $(seq 20); do tmux -S "$PWD/s" split-window -d 'cat' && tmux -S "$PWD/s" select-layout tiled; done > /dev/null 2>&1
tmux -S "$PWD/s" list-panes | wc -l; tmux -S "$PWD/s" kill-server; echo $?
