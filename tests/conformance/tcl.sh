# packages: tcl
cat > a.tcl <<'END'
set d [dict create]; for {set i 0} {$i < 20000} {incr i} { dict incr d k[expr {$i % 97}] $i }
puts [dict get $d k5]; puts [llength [lsort -unique [split [read [open $env(REPOSITORY)/README.md]] " \n"]]]
puts [exec echo child]; puts [catch {error x} message]$message; puts [regsub -all a [string repeat abc 1000] b result][string length $result]; exit 4
END
tclsh a.tcl; echo $?
