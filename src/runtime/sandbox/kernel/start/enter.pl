# Enters a VM and starts one program there, then waits for its end. Runs on the host, where the server starts it.
#
# Arguments: pid of the VM's init; uid and gid to become, or -1; most open files of the program; numbers of system calls;
# how many cgroup.procs files follow; these; the program and its arguments.
#
# Nothing may be loaded once it has entered: from then on every path leads to what the VM's user has written, and until
# exec this process has all capabilities over the VM. No `require`, no text of an error.
use strict;

my ($init, $uid, $gid, $open_files, @numbers) = map { int } splice(@ARGV, 0, 11);
my ($setns, $prctl, $setgroups, $setresgid, $setresuid, $prlimit, $setsid) = @numbers;
my @cgroups = splice(@ARGV, 0, shift @ARGV);
my $PR_CAPBSET_DROP = 24;
my $PR_SET_NO_NEW_PRIVS = 38;
my ($RLIMIT_CORE, $RLIMIT_NOFILE) = (4, 7);
my $EAGAIN = 11;

sub fail { syswrite(STDERR, "$_[0], error " . ($! + 0) . "\n"); exit 1; }
sub must { my $what = shift; syscall(shift, @_) == 0 or fail("cannot $what"); }

$0 = 'agentos-enter';
# Before anything runs that the VM's user could have a hand in: whatever it forks is in the VM's cgroup as well.
for my $path (@cgroups) {
  open(my $procs, '>', $path) or fail("cannot open the VM's cgroup");
  defined syswrite($procs, '0') or fail("cannot enter the VM's cgroup");
}
if ($uid >= 0) {
  must('drop groups', $setgroups, 0, 0);
  must('set gid', $setresgid, $gid, $gid, $gid);
  must('set uid', $setresuid, $uid, $uid, $uid);
}
must('give up new privileges', $prctl, $PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
# All are opened first: after the first of them, /proc is another.
my @namespaces = map {
  open(my $namespace, '<', "/proc/$init/ns/$_") or fail("cannot open the VM's namespaces");
  $namespace;
} qw(user pid net ipc uts mnt);
must('enter', $setns, fileno($_), 0) for @namespaces;
for my $capability (0 .. 63) {
  last if syscall($prctl, $PR_CAPBSET_DROP, $capability, 0, 0, 0) != 0;
}
must('limit files', $prlimit, 0, $RLIMIT_NOFILE, pack('QQ', $open_files, $open_files), 0);
must('limit cores', $prlimit, 0, $RLIMIT_CORE, pack('QQ', 0, 0), 0);

my $pid = fork;
fail($! == $EAGAIN ? 'Cannot fork' : 'no process') unless defined $pid;
if ($pid == 0) {
  # `kill 0` inside must not reach the process that waits here.
  syscall($setsid);
  exec { $ARGV[0] } @ARGV;
  exit 127;
}
close(STDIN);
close(STDOUT);
close(STDERR);
# Unlike nsenter, which stops when its child does and never sees it end.
waitpid($pid, 0);
