# Becomes the init of a VM. A VM's boot runs it as the first process of the VM's pid namespace, with all capabilities over
# the VM. Nobody can write to the VM's files before it ends.
#
# Arguments: host name; seccomp filter in hexadecimal digits; path of the program; an empty file; a file in the place
# of /proc/meminfo, or nothing; most inotify instances and
# watches, or 0 for the host's; paths of /proc to hide.

my ($hostname, $filter, $program, $empty, $memory, $instances, $watches, @hidden) = @ARGV;
# MS_NOSUID, MS_NODEV and MS_NOEXEC
my ($MS_RDONLY, $MS_NO_PROGRAMS, $MS_REMOUNT, $MS_BIND) = (1, 2 | 4 | 8, 32, 4096);
my ($PR_CAP_AMBIENT, $PR_CAP_AMBIENT_CLEAR_ALL) = (47, 4);
my $CAPABILITY_VERSION_3 = 0x20080522;
my $VM_GID = 1000;
my ($AF_INET, $SOCK_DGRAM, $SIOCSIFFLAGS, $UP_AND_RUNNING) = (2, 2, 0x8914, 0x41);

must('set the host name', $SYS{sethostname}, $hostname, length $hostname);
# No user namespaces inside: each is a way into kernel code that a VM has no need of.
sub allow_at_most {
  my ($what, $count) = @_;
  my $file;
  return open($file, '>', "/proc/sys/user/max_$what") && syswrite($file, $count);
}
allow_at_most('user_namespaces', 0) or fail('cannot forbid user namespaces');
# The kernel counts these for the host's user, and so for all VMs of an ordinary user's server together. A kernel without
# inotify has no such limit.
allow_at_most('inotify_instances', $instances) if $instances;
allow_at_most('inotify_watches', $watches) if $watches;
my $socket;
# Without IP in the kernel there is no loopback to bring up.
socket($socket, $AF_INET, $SOCK_DGRAM, 0) && ioctl($socket, $SIOCSIFFLAGS, pack('a16 s x14', 'lo', $UP_AND_RUNNING));
# The VM's user may ping, which the kernel allows to groups. ICMPv6 has the same switch.
if (open(my $groups, '>', '/proc/sys/net/ipv4/ping_group_range')) {
  syswrite($groups, "$VM_GID $VM_GID");
  close($groups);
}
# The kernel mounts a procfs only if another one is not covered, so this comes after.
my ($tmpfs, $nothing) = ('tmpfs', '');
for my $path (@hidden) {
  my @what = -d $path ? ($tmpfs, $path, $tmpfs, $MS_RDONLY | $MS_NO_PROGRAMS, $nothing) : ($empty, $path, $nothing, $MS_BIND, $nothing);
  must("hide $path", $SYS{mount}, @what);
}
my $meminfo = '/proc/meminfo';
must('show the memory of the VM', $SYS{mount}, $memory, $meminfo, $nothing, $MS_BIND, $nothing) if length $memory;
# No program of the VM changes a switch of the kernel there, or its own oom_score_adj.
my $proc = '/proc';
must('make /proc read-only', $SYS{mount}, $nothing, $proc, $nothing, $MS_REMOUNT | $MS_BIND | $MS_RDONLY | $MS_NO_PROGRAMS, $nothing);
leave_session_keyring($filter);
refuse_new_privileges();
drop_bounding_set();
must('drop ambient capabilities', $SYS{prctl}, $PR_CAP_AMBIENT, $PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
my ($head, $none) = (pack('L l', $CAPABILITY_VERSION_3, 0), pack('L6', (0) x 6));
must('drop capabilities', $SYS{capset}, $head, $none);
install_filter($filter);
# The kernel reaps orphans for an init that ignores SIGCHLD.
$SIG{CHLD} = 'IGNORE';
%ENV = ();
open(STDERR, '>', '/dev/null');
exec { $program } $program;
exit 127;
