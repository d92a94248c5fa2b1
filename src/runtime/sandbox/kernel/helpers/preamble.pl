# Common to all helper programs. The loader puts it in front of each, behind a line that sets $ARCH.
#
# Helpers talk to the server in frames: a 32-bit length, then a kind of one byte, a 32-bit number, and a body. Numbers are
# big-endian. A helper ends with 0 when its input ends, and with 2 when its input breaks the protocol.
#
# No helper loads a module: inside a VM, the folders that perl searches belong to the VM's user.

# use strict, without strict.pm.
BEGIN { $^H |= 0x7e2; }

my %SYS = %{{
  x64 => {
    setsid => 112, wait4 => 61, prctl => 157, rt_sigprocmask => 14, signalfd4 => 289, prlimit64 => 302,
    setns => 308, setgroups => 116, setresgid => 119, setresuid => 117, sendmsg => 46,
    openat2 => 437, listxattr => 194, getxattr => 191, setxattr => 188, removexattr => 197,
    inotify_init1 => 294, inotify_add_watch => 254, inotify_rm_watch => 255, getdents64 => 217,
    mount_setattr => 442, keyctl => 250, capset => 126, sethostname => 170, unshare => 272, seccomp => 317, mount => 165,
    open_tree => 428, openat => 257, pivot_root => 155, umount2 => 166, setfsuid => 122, setfsgid => 123,
  },
  arm64 => {
    setsid => 157, wait4 => 260, prctl => 167, rt_sigprocmask => 135, signalfd4 => 74, prlimit64 => 261,
    setns => 268, setgroups => 159, setresgid => 149, setresuid => 147, sendmsg => 211,
    openat2 => 437, listxattr => 11, getxattr => 8, setxattr => 5, removexattr => 14,
    inotify_init1 => 26, inotify_add_watch => 27, inotify_rm_watch => 28, getdents64 => 61,
    mount_setattr => 442, keyctl => 219, capset => 91, sethostname => 161, unshare => 97, seccomp => 277, mount => 40,
    open_tree => 428, openat => 56, pivot_root => 41, umount2 => 39, setfsuid => 151, setfsgid => 152,
  },
}->{our $ARCH}};
my ($O_DIRECTORY, $O_NOFOLLOW) = $ARCH eq 'arm64' ? (040000, 0100000) : (0200000, 0400000);
my ($O_PATH, $O_CLOEXEC) = (010000000, 02000000);
# Flags of openat2(2): RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH
my $RESOLVE_BENEATH = 1 | 2 | 4 | 8;
my ($EINTR, $EAGAIN, $EINVAL) = (4, 11, 22);

my $FRAME_MAX = 33_554_432;
my $FRAME_HEAD = 5;

sub break_off { exit 2; }

sub frame {
  my ($kind, $number, $body) = @_;
  return pack('N/a*', pack('a1 N a*', $kind, $number, $body));
}

# Writes everything, and ends the process if nobody reads it.
sub write_all {
  my ($stream, $data) = @_;
  while (length $data) {
    my $written = syswrite($stream, $data);
    exit 0 unless $written;
    substr($data, 0, $written, '');
  }
}

sub send_frame {
  my ($stream, @frame) = @_;
  write_all($stream, frame(@frame));
}

# Reads once, and hands each whole frame to a function as KIND, NUMBER, BODY. False at the end of the input.
my %unfinished;
sub take_frames {
  my ($stream, $handle) = @_;
  my $input = \($unfinished{fileno $stream} //= '');
  my $count = sysread($stream, $$input, 65536, length $$input);
  return $! == $EINTR || $! == $EAGAIN unless defined $count;
  return 0 if $count == 0;
  my $at = 0;
  while (length($$input) >= $at + 4) {
    my $length = unpack('N', substr($$input, $at, 4));
    break_off() if $length < $FRAME_HEAD || $length > $FRAME_MAX;
    last if length($$input) < $at + 4 + $length;
    my $frame = substr($$input, $at + 4, $length);
    $at += 4 + $length;
    $handle->(unpack('a1 N a*', $frame));
  }
  substr($$input, 0, $at, '');
  return 1;
}

# Opens the directory above another one, of which the caller checks the inode. Below 0 for failure.
sub open_above {
  my ($fd) = @_;
  my $how = pack('QQQ', $O_PATH | $O_DIRECTORY | $O_CLOEXEC, 0, $RESOLVE_BENEATH & ~8);
  my $path = '..';
  return syscall($SYS{openat2}, $fd, $path, $how, length $how);
}

# Opens a path below a descriptor: follows no link and crosses no mount. Below 0 for failure, with $! set.
sub open_beneath {
  my ($root, $path, $flags) = @_;
  if ($path =~ /\0/) { $! = $EINVAL; return -1; }
  my $how = pack('QQQ', $flags | $O_NOFOLLOW | $O_CLOEXEC, 0, $RESOLVE_BENEATH);
  return syscall($SYS{openat2}, $root, $path, $how, length $how);
}
