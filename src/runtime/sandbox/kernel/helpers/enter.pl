# Enters a VM and starts one program there, waits for its end, and ends as it did. Runs on the host, where the launcher
# forks it for a spawner, and the server starts it for a terminal.
#
# Arguments: pid of the VM's init; uid and gid to become, or -1; most open files of the program; most processes of the
# spawner's commands, or 0 for a program on a terminal; the seccomp filter in hexadecimal digits; how many cgroup.procs
# files follow; these; the program and its arguments. The spawner gets its own arguments here. Without a program, a fork
# becomes the spawner that the launcher has.
#
# Nothing may be loaded once it has entered: from then on every path leads to files that the VM's user has written, and
# this process has all capabilities over the VM. No `require`, no text of an error.

my ($init, $uid, $gid, $open_files, $processes) = map { int } splice(@ARGV, 0, 5);
my $is_spawner = $processes > 0;
my ($filter, $cgroups) = splice(@ARGV, 0, 2);
my @cgroups = splice(@ARGV, 0, $cgroups);
my $NS_GET_USERNS = 0xb701;
my $oom_adj = $is_spawner ? $SPAWNER_OOM_ADJ : 1000;

$0 = 'agentos-enter';
# The process joins before any program of the VM runs: the cgroup counts all that it forks.
join_cgroup(open_cgroup($_)) for @cgroups;
# If memory is short, the kernel ends a program of the VM before the server. A VM's /proc is read-only, so that no program
# there can lower the value.
if (open(my $own, '>', '/proc/self/oom_score_adj')) { syswrite($own, $oom_adj); close($own); }
# All are opened first: after the first of them, /proc is another.
my ($ipc, @namespaces) = map {
  open(my $namespace, '<', "/proc/$init/ns/$_") or fail("cannot open the VM's namespaces");
  $namespace;
} qw(ipc user pid net uts mnt);
# Nobody may look into it from here on.
be_dumpable(0);
# Later it has no right over limits.
limit_cores();
limit_priorities();
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
# A fork keeps what is open.
close($_) for $ipc, @namespaces;
hide_cgroups();
leave_session_keyring($filter);
drop_bounding_set();
limit('files', $RLIMIT_NOFILE, $open_files);
my $writable = $is_spawner ? writable_proc() : -1;
# The last step before a program of the VM can run: none runs without the filter.
install_filter($filter);

my $pid = fork;
fail($! == $EAGAIN ? 'Cannot fork' : 'no process') unless defined $pid;
if ($pid == 0) {
  my @program = splice(@ARGV);
  if ($is_spawner) {
    # `kill 0` inside must not reach the process that waits here.
    syscall($SYS{setsid});
    @ARGV = ($uid >= 0 ? 1 : 0, $processes, own_oom_adj($writable));
  }
  if (@program) {
    exec { $program[0] } @program, @ARGV;
    exit 127;
  }
  # Programs of the VM run already. None may look into it while it has capabilities, or under root at all.
  be_dumpable(0);
  drop_capabilities();
  # The server of an ordinary user opens the pipes of commands through /proc.
  be_dumpable(1) if $uid < 0;
  main::run_spawner();
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
