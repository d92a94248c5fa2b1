# Starts programs for the server. A fork copies the table of all memory that a process has: this one has little, and the server much.
# So a start takes the server no time, however large it is.
#
# It also has programs of the server that are compiled already, which a fork of it becomes without exec. They share its memory. So it never
# learns anything of a VM: a child itself reads what it shall become, from its stdin.
#
# Reads frames:
#   "x" ID FIELDS       starts a program. FIELDS, separated by NUL: NAMESPACES CHANNEL ROOT SMALL. NAMESPACES: flags of unshare(2) for the
#                       namespaces of which the program is the first process, or 0; CHANNEL 1 for Node's channel, which then is descriptor 3
#                       of the program; ROOT a directory's descriptor of the server, which then is descriptor 3 of the program, or -1;
#                       SMALL 1 for pipes of one page
#   "k" ID              kills a program
#   "c" ID              the server has opened its ends of the pipes
#   "p" ID              asks whether it still works
# Writes frames, with numbers of 32 bits:
#   "S" ID PID IN OUT ERR      started: its pid, and this process's descriptors of the server's ends of its pipes
#   "N" ID ERRNO               no pipe, no process or no namespace to be had
#   "E" ID STATUS              ended: wait status
#   "P" ID                     it works
# The child reads one frame:
#   "x" 0 FIELDS        UID GID PROGRAM ARG...; UID -1 for the server's own user; PROGRAM a path, or the name of a program that it has
# All that it has started ends with it. So it ends with its stdin only, whatever signals a stop of the server's service sends.

my ($channel_fd, $server) = map { int } @ARGV;
my %program = (boot => \&run_boot, enter => \&run_enter, connector => \&run_connector);
my $AT_FDCWD = -100;
my ($CLONE_NEWPID, $CLONE_PARENT, $SIGCHLD) = (0x20000000, 0x8000, 17);
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
my ($own_uid, $own_gid) = ($> + 0, $) + 0);
open(my $own_pids, '<', '/proc/self/ns/pid') or die;

sub put { my ($path, $text) = @_; my $file; return open($file, '>', $path) && defined syswrite($file, $text) && close($file); }

# Forks a child that is the first process of new namespaces. Its parent is this process.
sub fork_into {
  my ($namespaces) = @_;
  return fork unless $namespaces;
  if ($namespaces == $CLONE_NEWPID) {
    return undef unless syscall($SYS{unshare}, $CLONE_NEWPID) == 0;
    my $pid = fork;
    return 0 if defined $pid && $pid == 0;
    my $errno = $! + 0;
    syscall($SYS{setns}, fileno $own_pids, $CLONE_NEWPID) == 0 or die;
    $! = $errno;
    return $pid;
  }
  # A process that has made a user namespace stays there. clone(2) with these flags is what a filter of a container refuses.
  pipe(my $from_between, my $to_parent) or return undef;
  my $between = fork;
  return undef unless defined $between;
  if ($between == 0) {
    my $pid = syscall($SYS{unshare}, $namespaces) == 0 && map_root() ? syscall($SYS{clone}, $CLONE_PARENT | $SIGCHLD, 0, 0, 0, 0) : -1;
    return 0 if $pid == 0;
    syswrite($to_parent, pack('l2', $pid, $! + 0));
    exit 0;
  }
  close($to_parent);
  my $count = sysread($from_between, my $answer, 8) // 0;
  my ($pid, $errno) = $count == 8 ? unpack('l2', $answer) : (-1, $EAGAIN);
  $! = $errno;
  return $pid > 0 ? $pid : undef;
}

sub map_root {
  return put('/proc/self/setgroups', 'deny') && put('/proc/self/uid_map', "0 $own_uid 1")
    && put('/proc/self/gid_map', "0 $own_gid 1");
}

sub start {
  my ($id, @settings) = @_;
  break_off() unless @settings == 4 && "@settings" =~ /^\d+ \d+ -?\d+ \d+\z/;
  # perl's syscall() takes the address of a text, even if the text is a number.
  my ($namespaces, $with_channel, $root, $is_small) = map { int } @settings;
  my $path = "/proc/$server/fd/$root";
  # Opened before the answer: the server keeps it open until then.
  my $root_fd = $root < 0 ? -1 : syscall($SYS{openat}, $AT_FDCWD, $path, $O_PATH | $O_DIRECTORY | $O_CLOEXEC, 0);
  return tell_server('N', $id, $! + 0) if $root >= 0 && $root_fd < 0;
  my ($in, $in_end, $out, $out_end, $err, $err_end);
  my $has_pipes = pipe($in, $in_end) && pipe($out_end, $out) && pipe($err_end, $err);
  if ($has_pipes && $is_small) { fcntl($_, $F_SETPIPE_SZ, 4096) for $in, $out, $err; }
  my $pid = $has_pipes ? fork_into($namespaces) : undef;
  my $errno = $! + 0;
  if (defined $pid && $pid == 0) {
    open(STDIN, '<&', $in) && open(STDOUT, '>&', $out) && open(STDERR, '>&', $err) or exit 127;
    close($_) for $in, $in_end, $out, $out_end, $err, $err_end, $control, $signals, $own_pids, $with_channel ? () : $channel;
    %held = ();
    syscall($SYS{dup3}, $root_fd, 3, 0) if $root_fd >= 0;
    become($with_channel || $root_fd >= 0 ? 4 : 3);
    exit 127;
  }
  syscall($SYS{close}, $root_fd) if $root_fd >= 0;
  return tell_server('N', $id, $errno) unless defined $pid;
  $id_of{$pid} = $id;
  $pid_of{$id} = $pid;
  $held{$id} = [$in_end, $out_end, $err_end];
  tell_server('S', $id, $pid, map { fileno($_) } $in_end, $out_end, $err_end);
}

sub end_with_launcher { return syscall($SYS{prctl}, $PR_SET_PDEATHSIG, $SIGKILL, 0, 0, 0) == 0; }

sub read_exactly {
  my ($count) = @_;
  my $read = '';
  while (length $read < $count) {
    sysread(STDIN, $read, $count - length $read, length $read) or exit 127;
  }
  return $read;
}

# In the child.
sub become {
  my ($first_to_close) = @_;
  # A program without exec keeps what is open.
  unless (syscall($SYS{close_range}, $first_to_close, 0xffffffff, 0) == 0) { syscall($SYS{close}, $_) for $first_to_close .. 1023; }
  fcntl($channel, $F_SETFD, 0) if defined fileno $channel;
  syscall($SYS{setsid});
  end_with_launcher();
  syscall($SYS{rt_sigprocmask}, $SIG_SETMASK, $NO_SIGNALS, 0, $SIGSET_BYTES);
  my ($kind, undef, $fields) = unpack('a1 N a*', read_exactly(unpack('N', read_exactly(4))));
  (my ($uid, $gid, $program), @ARGV) = split(/\0/, $fields, -1);
  ($uid, $gid) = map { int } $uid, $gid;
  if ($uid >= 0) {
    syscall($SYS{setgroups}, 0, 0) == 0 && syscall($SYS{setresgid}, $gid, $gid, $gid) == 0 && syscall($SYS{setresuid}, $uid, $uid, $uid) == 0
      or return syswrite(STDERR, 'cannot become the user of the VM');
  }
  # A change of the user takes it off.
  end_with_launcher();
  if (exists $program{$program}) {
    $0 = "agentos-$program";
    $program{$program}->();
    exit 0;
  }
  exec { $program } $program, @ARGV;
  syswrite(STDERR, "cannot start $program: $!");
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
  elsif ($kind eq 'k') { kill($SIGKILL, $pid_of{$id}) if exists $pid_of{$id}; }
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
