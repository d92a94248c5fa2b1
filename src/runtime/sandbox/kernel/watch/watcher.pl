# Watches directories below one directory, which is open as descriptor ROOT, by inotify(7). Runs on the host as the VM's
# user, in none of the VM's namespaces: nothing inside can see, signal or trace it. It ends with its stdin. Every path is
# resolved by openat2(2) beneath ROOT, without links and without crossing a mount.
#
# Numbers are big-endian. Reads frames, each a length and then
#   "a" ID PATH    watch a directory, path relative to ROOT, and list it
#   "r" WD         watch it no longer
#   "n" BYTES      send the next events, as soon as there are any, at most so many bytes of them
# Writes frames, each a length and then
#   "R" ERRNO      at the start
#   "A" ID ERRNO WD   the directory is watched, or not
#   "L" ID DIRENTS    a part of what is in it from then on, as getdents64(2) gave it; an empty one is the end
#   "E" EVENTS     as read(2) gave them
use strict;

my ($root, $directory, $nofollow, @numbers) = map { int } @ARGV;
my ($openat2, $init, $add, $remove, $getdents) = @numbers;
my ($IN_CLOEXEC, $O_CLOEXEC) = (02000000, 02000000);
# RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH
my $HOW = pack('QQQ', $directory | $nofollow | $O_CLOEXEC, 0, 1 | 2 | 4 | 8);
# IN_MODIFY, IN_ATTRIB, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE, IN_DELETE_SELF; IN_ONLYDIR, IN_EXCL_UNLINK
my $MASK = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x1000000 | 0x4000000;
my $PIECE = 65536;

$0 = 'agentos-watcher';
binmode $_ for *STDIN, *STDOUT;

sub send_frame {
  my $frame = pack('N/a*', $_[0]);
  while (length $frame) {
    my $written = syswrite(STDOUT, $frame);
    exit 0 unless $written;
    substr($frame, 0, $written) = '';
  }
}

sub refuse { send_frame(pack('a1 N N N', 'A', $_[0], $! + 0, 0)); }

sub watch {
  my ($id, $path) = @_;
  my $fd = syscall($openat2, $root, $path, $HOW, length $HOW);
  return refuse($id) if $fd < 0;
  open(my $held, '<&=', $fd) or return refuse($id);
  my $name = "/proc/self/fd/$fd";
  my $wd = syscall($add, fileno INOTIFY, $name, $MASK);
  return refuse($id) if $wd < 0;
  send_frame(pack('a1 N N N', 'A', $id, 0, $wd));
  while (1) {
    my $entries = "\0" x $PIECE;
    my $length = syscall($getdents, $fd, $entries, $PIECE);
    # Below 0 it was removed meanwhile, and is empty.
    $length = 0 if $length < 0;
    send_frame(pack('a1 N a*', 'L', $id, substr($entries, 0, $length)));
    last if $length == 0;
  }
}

my $inotify = syscall($init, $IN_CLOEXEC);
my $errno = $inotify < 0 ? $! + 0 : 0;
send_frame(pack('a1 N', 'R', $errno));
exit 1 if $errno;
open(INOTIFY, '<&=', $inotify) or exit 1;

my ($buffer, $hungry) = ('', 0);
while (1) {
  my $readable = '';
  vec($readable, fileno STDIN, 1) = 1;
  vec($readable, fileno INOTIFY, 1) = 1 if $hungry;
  next if select($readable, undef, undef, undef) < 0;
  if ($hungry && vec($readable, fileno INOTIFY, 1)) {
    my $events;
    if (sysread(INOTIFY, $events, $hungry)) {
      $hungry = 0;
      send_frame("E$events");
    }
  }
  next unless vec($readable, fileno STDIN, 1);
  exit 0 unless sysread(STDIN, $buffer, $PIECE, length $buffer);
  my $at = 0;
  while (length($buffer) >= $at + 4) {
    my $length = unpack('N', substr($buffer, $at, 4));
    last if length($buffer) < $at + 4 + $length;
    my ($what, $number, $path) = unpack('a1 N a*', substr($buffer, $at + 4, $length));
    $at += 4 + $length;
    if ($what eq 'n') { $hungry = $number; }
    elsif ($what eq 'r') { syscall($remove, fileno INOTIFY, $number); }
    elsif ($what eq 'a') { watch($number, $path); }
  }
  substr($buffer, 0, $at) = '';
}
