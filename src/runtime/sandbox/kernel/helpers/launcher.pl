# Starts programs for the server. A fork copies the table of all memory that a process has: this one has little, and the server much.
# So a start takes the server no time, however large it is.
#
# Reads frames:
#   "x" ID FIELDS       starts a program. FIELDS, separated by NUL: UID GID CHANNEL ROOT SMALL PROGRAM ARG...; UID -1 for the server's own user;
#                       CHANNEL 1 for Node's channel, which then is descriptor 3 of the program; ROOT a directory's descriptor of the
#                       server, which then is descriptor 3 of the program, or -1; SMALL 1 for pipes of one page
#   "c" ID              the server has opened its ends of the pipes
#   "k" ID NUMBER       sends a signal
#   "p" ID              asks whether it still works
# Writes frames, with numbers of 32 bits:
#   "S" ID PID IN OUT ERR      started: its pid, and this process's descriptors of the server's ends of its pipes
#   "N" ID ERRNO               no pipe or no process to be had
#   "E" ID STATUS              ended: wait status
#   "P" ID                     it works
# All that it has started ends with it. So it ends with its stdin only, whatever signals a stop of the server's service sends.

my ($channel_fd, $server) = map { int } @ARGV;
my $AT_FDCWD = -100;
my $WNOHANG = 1;
my ($PR_SET_PDEATHSIG, $SIGKILL, $F_SETFD, $F_SETPIPE_SZ) = (1, 9, 2, 1031);
my ($SIG_BLOCK, $SIG_SETMASK, $SFD_CLOEXEC) = (0, 2, 02000000);
my ($SIGCHLD_ONLY, $NO_SIGNALS, $SIGSET_BYTES) = (pack('Q', 1 << 16), pack('Q', 0), 8);
# HUP, INT, TERM and CHLD.
my $BLOCKED = pack('Q', 1 << 0 | 1 << 1 | 1 << 14 | 1 << 16);

$0 = 'agentos-launcher';
open(my $control, '>&', \*STDOUT) or die;
open(STDOUT, '>', '/dev/null') or die;
open(my $channel, '+<&=', $channel_fd) or die;
# Node has added variables.
delete @ENV{grep { $_ ne 'PATH' } keys %ENV};
sub tell_server { my ($kind, $id, @numbers) = @_; send_frame($control, $kind, $id, pack('N*', @numbers)); }

# See spawner.pl.
syscall($SYS{rt_sigprocmask}, $SIG_BLOCK, $BLOCKED, 0, $SIGSET_BYTES) == 0 or die;
my $signals_fd = syscall($SYS{signalfd4}, -1, $SIGCHLD_ONLY, $SIGSET_BYTES, $SFD_CLOEXEC);
open(my $signals, '<&=', $signals_fd) or die;

my (%id_of, %pid_of, %held);

sub start {
  my ($id, $uid, $gid, $with_channel, $root, $is_small, @argv) = @_;
  break_off() unless @argv && "$uid $gid $root" =~ /^-?\d+ -?\d+ -?\d+\z/;
  # perl's syscall() takes the address of a text, even if the text is a number.
  ($uid, $gid, $root) = map { int } $uid, $gid, $root;
  my $path = "/proc/$server/fd/$root";
  # Opened before the answer: the server keeps it open until then.
  my $root_fd = $root < 0 ? -1 : syscall($SYS{openat}, $AT_FDCWD, $path, $O_PATH | $O_DIRECTORY | $O_CLOEXEC, 0);
  return tell_server('N', $id, $! + 0) if $root >= 0 && $root_fd < 0;
  my ($in, $in_end, $out, $out_end, $err, $err_end);
  my $has_pipes = pipe($in, $in_end) && pipe($out_end, $out) && pipe($err_end, $err);
  if ($has_pipes && $is_small) { fcntl($_, $F_SETPIPE_SZ, 4096) for $in, $out, $err; }
  my $pid = $has_pipes ? fork : undef;
  my $errno = $! + 0;
  if (defined $pid && $pid == 0) {
    become($uid, $gid, $with_channel, $root_fd, \@argv, $in, $out, $err);
    exit 127;
  }
  syscall($SYS{close}, $root_fd) if $root_fd >= 0;
  return tell_server('N', $id, $errno) unless defined $pid;
  ($id_of{$pid}, $pid_of{$id}) = ($id, $pid);
  $held{$id} = [$in_end, $out_end, $err_end];
  tell_server('S', $id, $pid, map { fileno($_) } $in_end, $out_end, $err_end);
}

# In the child. All descriptors above 2 are close-on-exec.
sub become {
  my ($uid, $gid, $with_channel, $root_fd, $argv, $in, $out, $err) = @_;
  syscall($SYS{setsid});
  syscall($SYS{rt_sigprocmask}, $SIG_SETMASK, $NO_SIGNALS, 0, $SIGSET_BYTES);
  open(STDIN, '<&', $in) && open(STDOUT, '>&', $out) && open(STDERR, '>&', $err) or return;
  fcntl($channel, $F_SETFD, 0) if $with_channel;
  syscall($SYS{dup3}, $root_fd, 3, 0) if $root_fd >= 0;
  if ($uid >= 0) {
    syscall($SYS{setgroups}, 0, 0) == 0 && syscall($SYS{setresgid}, $gid, $gid, $gid) == 0 && syscall($SYS{setresuid}, $uid, $uid, $uid) == 0
      or return syswrite(STDERR, 'cannot become the user of the VM');
  }
  # A change of the user takes it off.
  syscall($SYS{prctl}, $PR_SET_PDEATHSIG, $SIGKILL, 0, 0, 0);
  exec { $argv->[0] } @$argv;
  syswrite(STDERR, "cannot start $argv->[0]: $!");
}

sub reap {
  my $status = pack('i', 0);
  while ((my $pid = syscall($SYS{wait4}, -1, $status, $WNOHANG, 0)) > 0) {
    my $id = delete $id_of{$pid};
    next unless defined $id;
    delete $pid_of{$id};
    tell_server('E', $id, unpack('i', $status));
  }
}

sub handle {
  my ($kind, $id, $body) = @_;
  if ($kind eq 'x') { start($id, split(/\0/, $body, -1)); }
  elsif ($kind eq 'c') { delete $held{$id}; }
  elsif ($kind eq 'k' && length $body == 4) { kill(unpack('N', $body), $pid_of{$id}) if defined $pid_of{$id}; }
  elsif ($kind eq 'p') { tell_server('P', $id); }
  else { break_off(); }
}

my $confirms = 1;
while (1) {
  my $ready = '';
  vec($ready, $_, 1) = 1 for 0, $signals_fd, $confirms ? $channel_fd : ();
  next if select($ready, undef, undef, undef) < 0;
  # Node confirms each socket that a program has passed; nothing else comes here. A program that has the channel can end it.
  if (vec($ready, $channel_fd, 1)) { $confirms = sysread($channel, my $confirmed, 65536); }
  if (vec($ready, $signals_fd, 1)) {
    sysread($signals, my $drained, 4096);
    reap();
  }
  exit 0 if vec($ready, 0, 1) && !take_frames(\*STDIN, \&handle);
}
