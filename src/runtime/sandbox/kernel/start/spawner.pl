# Starts the commands of one VM. Runs inside, with the privileges of what it starts: none.
#
# Reads requests from stdin, each a 32-bit length and NUL-separated fields:
#   start ID TAG STDIN CWD ARGC ARG... NAME=VALUE...
#   close ID            the server has opened its ends of the pipes
#   signal ID NUMBER
# Writes lines to stdout:
#   ready PID
#   started ID PID IN OUT ERR      pid, and this process's descriptors of the server's ends
#   running ID                     about to become the command
#   refused ID ERRNO               no pipe or no process to be had
#   failed ID ERRNO                could not change to CWD
#   exited ID STATUS USER SYSTEM MAXRSS   wait status, microseconds of CPU, kilobytes
use strict;

my ($hide, $processes, $setsid, $wait4, $prctl, $sigprocmask, $signalfd, $prlimit) = @ARGV;
my $WNOHANG = 1;
my $PR_SET_DUMPABLE = 4;
my ($SIG_BLOCK, $SIG_SETMASK, $SFD_CLOEXEC) = (0, 2, 02000000);
my $SIGCHLD_ONLY = pack('Q', 1 << 16);
my $NO_SIGNALS = pack('Q', 0);
my $SIGSET_BYTES = 8;
my $DEFAULT_SLACK_NS = 50_000;
my $RLIMIT_NPROC = 6;
my $command_limits = pack('QQ', $processes, $processes);
my $COMMAND_OOM_ADJ = 500;
my $ENOENT = 2;

$0 = 'agentos-spawner';
umask 022;
# Where memory is short, the kernel should end a command before the server, and before this process, with which all
# other commands would end: they inherit what this process has while it forks.
open(my $oom_adj, '>', '/proc/self/oom_score_adj');
# Nothing that runs inside may trace this process or look into it. Neither may the server, unless it is root.
syscall($prctl, $PR_SET_DUMPABLE, 0, 0, 0, 0) if $hide;

# Descriptors above 2 are close-on-exec: no command inherits this one, or another's pipes.
open(my $control, '>&', \*STDOUT) or die;
open(STDOUT, '>', '/dev/null') or die;
open(STDIN, '<&=', 0) or die;
sub tell_server { syswrite($control, join(' ', @_) . "\n"); }

# A handler of perl's runs when perl finds the time; one that falls due on the way into select() would wait there.
syscall($sigprocmask, $SIG_BLOCK, $SIGCHLD_ONLY, 0, $SIGSET_BYTES) == 0 or die;
my $signals_fd = syscall($signalfd, -1, $SIGCHLD_ONLY, $SIGSET_BYTES, $SFD_CLOEXEC);
open(my $signals, '<&=', $signals_fd) or die;

my (%id_of, %pid_of, %held);

sub start {
  my ($id, $tag, $with_stdin, $cwd, $argc, @rest) = @_;
  my @argv = splice(@rest, 0, $argc);
  my ($in, $in_end, $out, $out_end, $err, $err_end);
  unless (pipe($in, $in_end) && pipe($out_end, $out) && pipe($err_end, $err)) {
    tell_server('refused', $id, $! + 0);
    return;
  }
  syswrite($oom_adj, $COMMAND_OOM_ADJ);
  my $pid = fork;
  my $errno = $! + 0;
  syswrite($oom_adj, 0) unless defined $pid && $pid == 0;
  unless (defined $pid) {
    tell_server('refused', $id, $errno);
    return;
  }
  if ($pid == 0) {
    become($id, $tag, $with_stdin, $cwd, \@argv, \@rest, $in, $out, $err);
    exit 126;
  }
  $id_of{$pid} = $id;
  $pid_of{$id} = $pid;
  $held{$id} = [$in_end, $out_end, $err_end];
  tell_server('started', $id, $pid, map { fileno($_) } $in_end, $out_end, $err_end);
}

# In the child: a session of its own, the tag that its descendants inherit, its stdio, and the command.
sub become {
  my ($id, $tag, $with_stdin, $cwd, $argv, $env, $in, $out, $err) = @_;
  syscall($setsid);
  syscall($sigprocmask, $SIG_SETMASK, $NO_SIGNALS, 0, $SIGSET_BYTES);
  if (open(my $slack, '>', '/proc/self/timerslack_ns')) { syswrite($slack, $DEFAULT_SLACK_NS + $tag); close($slack); }
  # This process may pass the limit of its commands, so that there is a way in when they have reached it.
  syscall($prlimit, 0, $RLIMIT_NPROC, $command_limits, 0);
  unless (chdir($cwd)) {
    tell_server('failed', $id, $! + 0);
    exit 0;
  }
  if ($with_stdin) { open(STDIN, '<&', $in); } else { open(STDIN, '<', '/dev/null'); }
  open(STDOUT, '>&', $out);
  open(STDERR, '>&', $err);
  tell_server('running', $id);
  %ENV = map { split(/=/, $_, 2) } @$env;
  exec { $argv->[0] } @$argv;
  my ($missing, $reason) = ($! == $ENOENT, "$!");
  print STDERR $argv->[0], $missing ? ": not found\n" : ": $reason\n";
  exit($missing ? 127 : 126);
}

sub reap {
  my ($status, $usage) = (pack('i', 0), "\0" x 256);
  while ((my $pid = syscall($wait4, -1, $status, $WNOHANG, $usage)) > 0) {
    my $id = delete $id_of{$pid};
    next unless defined $id;
    delete $pid_of{$id};
    my ($user_s, $user_us, $system_s, $system_us, $max_rss) = unpack('l!5', $usage);
    my ($user, $system) = ($user_s * 1_000_000 + $user_us, $system_s * 1_000_000 + $system_us);
    tell_server('exited', $id, unpack('i', $status), $user, $system, $max_rss);
  }
}

sub handle {
  my ($what, @fields) = @_;
  if ($what eq 'start') { start(@fields); }
  elsif ($what eq 'close') { delete $held{$fields[0]}; }
  elsif ($what eq 'signal') {
    # A child that has not been waited for keeps its pid: the signal cannot reach anybody else.
    my $pid = $pid_of{$fields[0]};
    kill($fields[1], $pid) if defined $pid;
  }
}

tell_server('ready', $$);
my $buffer = '';
while (1) {
  my $ready = '';
  vec($ready, fileno(STDIN), 1) = 1;
  vec($ready, $signals_fd, 1) = 1;
  next if select($ready, undef, undef, undef) < 0;
  if (vec($ready, $signals_fd, 1)) {
    sysread($signals, my $drained, 4096);
    reap();
  }
  next unless vec($ready, fileno(STDIN), 1);
  my $count = sysread(STDIN, $buffer, 65536, length $buffer);
  next unless defined $count;
  exit 0 if $count == 0;
  while (length($buffer) >= 4) {
    my $length = unpack('V', $buffer);
    last if length($buffer) < 4 + $length;
    my $request = substr($buffer, 4, $length);
    $buffer = substr($buffer, 4 + $length);
    handle(split(/\0/, $request, -1));
  }
}
