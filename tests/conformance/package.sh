# packages: debhelper dpkg-dev gcc libc6-dev make fakeroot
# output: s/[0-9a-f]{32,64} [0-9]+/SUMS/
mkdir -p small-1/debian/source && cd small-1 || exit 1
printf 'int main(void) { return 0; }\n' > small.c
printf 'small: small.c\n\t$(CC) $(CFLAGS) -o $@ $<\ninstall: small\n\tinstall -D small $(DESTDIR)/usr/bin/small\nclean:\n\trm -f small\n' > Makefile
printf '#!/usr/bin/make -f\n%%:\n\tdh $@\n' > debian/rules; chmod +x debian/rules; echo '3.0 (native)' > debian/source/format
printf 'small (1) unstable; urgency=low\n\n  * First.\n\n -- A B <a@example.org>  Thu, 01 Jan 2020 00:00:00 +0000\n' > debian/changelog
printf 'Source: small\nMaintainer: A B <a@example.org>\nBuild-Depends: debhelper-compat (= 13)\n\nPackage: small\nArchitecture: any\nDepends: ${shlibs:Depends}, ${misc:Depends}\nDescription: small\n Small.\n' > debian/control
dpkg-buildpackage -us -uc -b > ../log 2>&1; echo $?; tail -1 ../log
dpkg-deb -c ../small_1_*.deb | awk '{ print $1, $2, $6 }'; dpkg-deb -I ../small_1_*.deb | grep -E 'Package|Depends|Version'; dpkg-deb --fsys-tarfile ../small_1_*.deb | md5sum
