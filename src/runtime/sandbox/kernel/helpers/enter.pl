# Enters a VM and starts one program there, waits for its end, and ends as it did. Runs on the host, where the server
# starts it.
#
# Arguments: pid of the VM's init; uid and gid to become, or -1; most open files of the program; 1 for the spawner, 0 for a
# program on a terminal; the seccomp filter in hexadecimal digits; how many cgroup.procs files follow; these; the program
# and its arguments. The spawner gets one argument more: a descriptor of its own oom_score_adj, or -1.
#
# Nothing may be loaded once it has entered: from then on every path leads to files that the VM's user has written, and
# until exec this process has all capabilities over the VM. No `require`, no text of an error.

my ($init, $uid, $gid, $open_files, $is_spawner) = map { int } splice(@ARGV, 0, 5);
my ($filter, $cgroups) = splice(@ARGV, 0, 2);
my @cgroups = splice(@ARGV, 0, $cgroups);
my $CLONE_NEWCGROUP = 0x02000000;
my $NS_GET_USERNS = 0xb701;
my ($RLIMIT_CORE, $RLIMIT_NOFILE) = (4, 7);
my ($AT_FDCWD, $AT_EMPTY_PATH, $OPEN_TREE_CLONE, $MOUNT_ATTR_RDONLY) = (-100, 0x1000, 1, 1);
# The spawner gives its commands 1000. In a cgroup the kernel adds 1/1000 of the VM's memory for each point, so a spawner
# outlives its commands only with a wide gap.
my $OOM_ADJ = $is_spawner ? 500 : 1000;

# A clone of the mount of /proc that is not read-only and has no masks. No program of the VM may ever get hold of it. Before
# Linux 5.12 there is none.
sub writable_proc {
  my ($proc, $nothing, $clear) = ('/proc', '', pack('QQQQ', 0, $MOUNT_ATTR_RDONLY, 0, 0));
  my $clone = syscall($SYS{open_tree}, $AT_FDCWD, $proc, $OPEN_TREE_CLONE);
  return $clone if $clone < 0;
  return $clone if syscall($SYS{mount_setattr}, $clone, $nothing, $AT_EMPTY_PATH, $clear, length $clear) == 0;
  forget($clone);
  return -1;
}

# Opens the spawner's own oom_score_adj for writing and closes the clone. The pid, and so the file, stays over exec. The
# files of a process that is not dumpable are root's. This process has capabilities that no program of the VM has, so none
# can look into it, dumpable or not.
sub own_oom_adj {
  my ($clone) = @_;
  return -1 if $clone < 0;
  my ($name, $O_WRONLY, $PR_SET_DUMPABLE) = ('self/oom_score_adj', 1, 4);
  syscall($SYS{prctl}, $PR_SET_DUMPABLE, 1, 0, 0, 0);
  my $file = syscall($SYS{openat}, $clone, $name, $O_WRONLY, 0);
  forget($clone);
  return $file;
}

# Closes a descriptor, if there is one.
sub forget { open(my $closed, '<&=', $_[0]) if $_[0] >= 0; }

$0 = 'agentos-enter';
# The process joins before any program of the VM runs: the cgroup counts all that it forks.
for my $path (@cgroups) {
  open(my $procs, '>', $path) or fail("cannot open the VM's cgroup");
  defined syswrite($procs, '0') or fail("cannot enter the VM's cgroup");
}
# If memory is short, the kernel ends a program of the VM before the server. A VM's /proc is read-only, so that no program
# there can lower the value.
if (open(my $oom_adj, '>', '/proc/self/oom_score_adj')) { syswrite($oom_adj, $OOM_ADJ); close($oom_adj); }
# All are opened first: after the first of them, /proc is another.
my ($ipc, @namespaces) = map {
  open(my $namespace, '<', "/proc/$init/ns/$_") or fail("cannot open the VM's namespaces");
  $namespace;
} qw(ipc user pid net uts mnt);
sub enter { must('enter', $SYS{setns}, fileno($_[0]), 0); }
# The IPC namespace is root's, or that of an ordinary user's outer user namespace, so that the boot could limit it.
if ($uid < 0) {
  my $outer = ioctl($ipc, $NS_GET_USERNS, 0) or fail("cannot open the VM's outer user namespace");
  open(my $owner, '<&=', $outer) or fail("cannot open the VM's outer user namespace");
  enter($owner);
}
enter($ipc);
if ($uid >= 0) {
  must('drop groups', $SYS{setgroups}, 0, 0);
  must('set gid', $SYS{setresgid}, $gid, $gid, $gid);
  must('set uid', $SYS{setresuid}, $uid, $uid, $uid);
}
refuse_new_privileges();
enter($_) for @namespaces;
# Its root is the VM's cgroup: /proc/self/cgroup names no place on the host. EINVAL: the kernel has no such namespaces.
syscall($SYS{unshare}, $CLONE_NEWCGROUP) == 0 || $! == $EINVAL or fail('no cgroup namespace');
leave_session_keyring($filter);
drop_bounding_set();
must('limit files', $SYS{prlimit64}, 0, $RLIMIT_NOFILE, pack('QQ', $open_files, $open_files), 0);
# A handler of core dumps that is a program runs as root on the host at any limit but 1. See core(5).
must('limit cores', $SYS{prlimit64}, 0, $RLIMIT_CORE, pack('QQ', 1, 1), 0);
my $writable = $is_spawner ? writable_proc() : -1;
# The last step before a program of the VM can run: none runs without the filter.
install_filter($filter);

my $pid = fork;
fail($! == $EAGAIN ? 'Cannot fork' : 'no process') unless defined $pid;
if ($pid == 0) {
  # `kill 0` inside must not reach the process that waits here.
  syscall($SYS{setsid}) if $is_spawner;
  push(@ARGV, own_oom_adj($writable)) if $is_spawner;
  exec { $ARGV[0] } @ARGV;
  exit 127;
}
forget($writable);
# A terminal that no process has open hangs up its session, of which this process is the leader.
if ($is_spawner) { close($_) for \*STDIN, \*STDOUT, \*STDERR; }
# Unlike nsenter, which stops when its child does and never sees it end.
waitpid($pid, 0);
exit($? >> 8) unless $? & 127;
my $signal = $? & 127;
kill($signal, $$);
exit(128 + $signal);
