# Starts the commands of one VM. Runs inside, with the privileges of what it starts: none.
#
# Reads frames:
#   "s" ID FIELDS       starts a command. FIELDS, separated by NUL: TAG STDIN CWD ARGC ARG... NAME=VALUE...
#   "c" ID              the server has opened its ends of the pipes
#   "k" ID NUMBER       sends a signal
# The boot's spawner speaks over pipes, and holds the server's ends of them until it reads "c" 0.
# Writes frames, all but the last with numbers of 32 bits:
#   "R" PID                    ready
#   "S" ID PID IN OUT ERR      about to become the command: its pid, and the spawner's descriptors of the server's ends
#   "N" ID ERRNO               no pipe or no process to be had
#   "F" ID ERRNO               could not change to CWD
#   "E" ID STATUS USER SYSTEM MAXRSS   ended: wait status in 32 bits; microseconds of CPU and kilobytes in 64
# The child itself says that it starts: a command may kill this process before this process runs again.

my ($hide, $processes, $own_oom_adj, @ends) = map { int } @ARGV;
my $WNOHANG = 1;
my ($PR_SET_DUMPABLE, $PR_SET_TIMERSLACK) = (4, 29);
my ($SIG_BLOCK, $SIG_SETMASK, $SFD_CLOEXEC) = (0, 2, 02000000);
my $SIGCHLD_ONLY = pack('Q', 1 << 16);
my $NO_SIGNALS = pack('Q', 0);
my $SIGSET_BYTES = 8;
my $DEFAULT_SLACK_NS = 50_000;
my $RLIMIT_NPROC = 6;
my $command_limits = pack('QQ', $processes, $processes);
# See enter.pl.
my ($OWN_OOM_ADJ, $COMMAND_OOM_ADJ) = (500, 1000);
my $ENOENT = 2;

$0 = 'agentos-spawner';
umask 022;
# Where memory is short, the kernel should end a command before the server, and before this process, with which all
# other commands would end: they inherit what this process has while it forks.
my $oom_adj;
# Perl makes the descriptor close-on-exec.
if (defined $own_oom_adj && $own_oom_adj >= 0) { open($oom_adj, '>&=', $own_oom_adj); }
sub set_oom_adj { syswrite($oom_adj, $_[0]) if defined $oom_adj; }
# Nothing that runs inside may trace this process or look into it. Neither may the server, unless it is root.
syscall($SYS{prctl}, $PR_SET_DUMPABLE, 0, 0, 0, 0) if $hide;

# Descriptors above 2 are close-on-exec: no command inherits this one, or another's pipes.
open(my $control, '>&', \*STDOUT) or die;
open(STDOUT, '>', '/dev/null') or die;
open(STDIN, '<&=', 0) or die;
sub tell_server {
  my ($kind, $id, @numbers) = @_;
  send_frame($control, $kind, $id, pack('N*', @numbers));
}

# Perl runs a signal handler between two operations: a signal that arrives just before select() would wait there.
syscall($SYS{rt_sigprocmask}, $SIG_BLOCK, $SIGCHLD_ONLY, 0, $SIGSET_BYTES) == 0 or die;
my $signals_fd = syscall($SYS{signalfd4}, -1, $SIGCHLD_ONLY, $SIGSET_BYTES, $SFD_CLOEXEC);
open(my $signals, '<&=', $signals_fd) or die;

my (%id_of, %pid_of);
my %held = (0 => [map { open(my $end, '<&=', $_); $end } @ends]);
# Perl closes a descriptor with the last handle of it. The boot has these, if this process was the boot.
undef $_ for $main::in_end, $main::out_end;

sub start {
  my ($id, $tag, $with_stdin, $cwd, $argc, @rest) = @_;
  break_off() unless defined $argc && $argc =~ /^[1-9]\d*\z/ && $argc <= @rest && $tag =~ /^\d+\z/;
  my @argv = splice(@rest, 0, $argc);
  my ($in, $in_end, $out, $out_end, $err, $err_end);
  unless (pipe($in, $in_end) && pipe($out_end, $out) && pipe($err_end, $err)) {
    tell_server('N', $id, $! + 0);
    return;
  }
  set_oom_adj($COMMAND_OOM_ADJ);
  my $pid = fork;
  my $errno = $! + 0;
  set_oom_adj($OWN_OOM_ADJ) unless defined $pid && $pid == 0;
  unless (defined $pid) {
    tell_server('N', $id, $errno);
    return;
  }
  if ($pid == 0) {
    become($id, $tag, $with_stdin, $cwd, \@argv, \@rest, [$in, $out, $err], [map { fileno($_) } $in_end, $out_end, $err_end]);
    exit 126;
  }
  $id_of{$pid} = $id;
  $pid_of{$id} = $pid;
  $held{$id} = [$in_end, $out_end, $err_end];
}

# In the child: a session of its own, the tag that its descendants inherit, its stdio, and the command.
sub become {
  my ($id, $tag, $with_stdin, $cwd, $argv, $env, $stdio, $ends) = @_;
  my ($in, $out, $err) = @$stdio;
  syscall($SYS{setsid});
  syscall($SYS{rt_sigprocmask}, $SIG_SETMASK, $NO_SIGNALS, 0, $SIGSET_BYTES);
  syscall($SYS{prctl}, $PR_SET_TIMERSLACK, $DEFAULT_SLACK_NS + $tag, 0, 0, 0);
  # This process may pass the limit of its commands, so that there is a way in when they have reached it.
  syscall($SYS{prlimit64}, 0, $RLIMIT_NPROC, $command_limits, 0);
  unless (chdir($cwd)) {
    tell_server('F', $id, $! + 0);
    exit 0;
  }
  if ($with_stdin) { open(STDIN, '<&', $in); } else { open(STDIN, '<', '/dev/null'); }
  open(STDOUT, '>&', $out);
  open(STDERR, '>&', $err);
  tell_server('S', $id, $$, @$ends);
  %ENV = map { split(/=/, $_, 2) } @$env;
  exec { $argv->[0] } @$argv;
  my ($missing, $reason) = ($! == $ENOENT, "$!");
  print STDERR $argv->[0], $missing ? ": not found\n" : ": $reason\n";
  exit($missing ? 127 : 126);
}

sub reap {
  my ($status, $usage) = (pack('i', 0), "\0" x 256);
  while ((my $pid = syscall($SYS{wait4}, -1, $status, $WNOHANG, $usage)) > 0) {
    my $id = delete $id_of{$pid};
    next unless defined $id;
    delete $pid_of{$id};
    my ($user_s, $user_us, $system_s, $system_us, $max_rss) = unpack('l!5', $usage);
    my ($user, $system) = ($user_s * 1_000_000 + $user_us, $system_s * 1_000_000 + $system_us);
    send_frame($control, 'E', $id, pack('N Q>3', unpack('i', $status), $user, $system, $max_rss));
  }
}

sub handle {
  my ($kind, $id, $body) = @_;
  if ($kind eq 's') { start($id, split(/\0/, $body, -1)); }
  elsif ($kind eq 'c') { delete $held{$id}; }
  elsif ($kind eq 'k' && length $body == 4) {
    # A child that has not been waited for keeps its pid: the signal cannot reach anybody else.
    my $pid = $pid_of{$id};
    kill(unpack('N', $body), $pid) if defined $pid;
  }
  else { break_off(); }
}

tell_server('R', $$);
while (1) {
  my $ready = '';
  vec($ready, fileno(STDIN), 1) = 1;
  vec($ready, $signals_fd, 1) = 1;
  next if select($ready, undef, undef, undef) < 0;
  if (vec($ready, $signals_fd, 1)) {
    sysread($signals, my $drained, 4096);
    reap();
  }
  exit 0 if vec($ready, fileno(STDIN), 1) && !take_frames(\*STDIN, \&handle);
}
