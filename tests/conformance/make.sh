# part: quick
# packages: make gcc libc6-dev
for i in $(seq 20); do echo "int f$i(void) { return $i; }" > f$i.c; done
cat > Makefile <<'END'
OBJECTS := $(patsubst %.c,%.o,$(wildcard f*.c))
all: lib.a ; @echo built $(words $^)
lib.a: $(OBJECTS) ; @ar rcs $@ $(sort $^) && echo archived
%.o: %.c ; @$(CC) -c $< -o $@
fails: ; @exit 3
END
make -j 4 -s; make -s; make -j2 -s fails; echo $?; make -n | head; ar t lib.a | sort | paste -sd' '
