# part: quick
# packages: git
git clone -q --no-hardlinks "$REPOSITORY" copy 2>&1; cd copy || exit 1
git log --oneline | tail -20; git log --stat -5 --format=%s | md5sum; git blame -s README.md | md5sum
git grep -c 'fn ' -- '*.rs' | sort | head -5; git diff HEAD~3 --shortstat
git config user.name x; git config user.email x@example.org; export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
git checkout -q -b side HEAD~2 && echo more >> CHANGELOG.md && git commit -q -am side && git merge -q -m merged - && git log -1 --format=%s
git -c pack.threads=1 gc -q && git fsck --no-progress --no-dangling; git count-objects -v | grep packs; git status --short | head; git checkout -q nowhere; echo $?
