# packages: emacs-nox
cat > a.el <<'END'
(let ((words (make-hash-table :test 'equal)))
  (with-temp-buffer (insert-file-contents (concat (getenv "REPOSITORY") "/README.md"))
    (while (re-search-forward "\\w+" nil t) (cl-incf (gethash (match-string 0) words 0)))
    (sort-lines nil (point-min) (point-max)) (message "%d %s" (hash-table-count words) (md5 (current-buffer)))
    (c-mode) (font-lock-ensure) (message "%s" (shell-command-to-string "echo child")) (write-file "out")))
(message "%s" (length (format "%S" (mapcar (lambda (i) (list i (number-to-string i))) (number-sequence 1 20000)))))
(kill-emacs 3)
END
emacs --batch -Q -l cl-lib -l a.el 2>&1; echo $?; wc out
