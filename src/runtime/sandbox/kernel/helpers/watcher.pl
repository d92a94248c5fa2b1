# Watches directories below one directory, which is open as descriptor ROOT, by inotify(7). Runs on the host as the VM's
# user, in none of the VM's namespaces: nothing inside can see, signal or trace it. It ends with its stdin. Every path is
# resolved by openat2(2) beneath ROOT, without links and without crossing a mount.
#
# Reads frames:
#   "a" ID PATH    watch a directory, path relative to ROOT, and list it
#   "r" WD         watch it no longer
#   "n" BYTES      send the next events, as soon as there are any, at most so many bytes of them
# Writes frames:
#   "R" ERRNO      at the start
#   "A" ID ERRNO WD   the directory is watched, or not
#   "L" ID DIRENTS    a part of what is in it from then on, as getdents64(2) gave it; an empty one is the end
#   "E" 0 EVENTS   as read(2) gave them

my ($root) = map { int } @ARGV;
my $IN_CLOEXEC = 02000000;
# IN_MODIFY, IN_ATTRIB, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE, IN_DELETE_SELF; IN_ONLYDIR, IN_EXCL_UNLINK
my $MASK = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x1000000 | 0x4000000;
my $PIECE = 65536;
my $MOST_EVENTS = 4_194_304;

$0 = 'agentos-watcher';
binmode $_ for *STDIN, *STDOUT;

sub refuse { send_frame(\*STDOUT, 'A', $_[0], pack('N N', $! + 0, 0)); }

sub watch {
  my ($id, $path) = @_;
  my $fd = open_beneath($root, $path, $O_DIRECTORY);
  return refuse($id) if $fd < 0;
  open(my $held, '<&=', $fd) or return refuse($id);
  my $name = "/proc/self/fd/$fd";
  my $wd = syscall($SYS{inotify_add_watch}, fileno INOTIFY, $name, $MASK);
  return refuse($id) if $wd < 0;
  send_frame(\*STDOUT, 'A', $id, pack('N N', 0, $wd));
  while (1) {
    my $entries = "\0" x $PIECE;
    my $length = syscall($SYS{getdents64}, $fd, $entries, $PIECE);
    # Below 0 it was removed meanwhile, and is empty.
    $length = 0 if $length < 0;
    send_frame(\*STDOUT, 'L', $id, substr($entries, 0, $length));
    last if $length == 0;
  }
}

my $inotify = syscall($SYS{inotify_init1}, $IN_CLOEXEC);
my $errno = $inotify < 0 ? $! + 0 : 0;
send_frame(\*STDOUT, 'R', $errno, '');
exit 1 if $errno;
open(INOTIFY, '<&=', $inotify) or exit 1;

my $wanted = 0;

sub handle {
  my ($kind, $number, $body) = @_;
  if ($kind eq 'n') { $wanted = $number < $MOST_EVENTS ? $number : $MOST_EVENTS; }
  elsif ($kind eq 'r') { syscall($SYS{inotify_rm_watch}, fileno INOTIFY, $number); }
  elsif ($kind eq 'a') { watch($number, $body); }
  else { break_off(); }
}


while (1) {
  my $readable = '';
  vec($readable, fileno STDIN, 1) = 1;
  vec($readable, fileno INOTIFY, 1) = 1 if $wanted;
  next if select($readable, undef, undef, undef) < 0;
  if ($wanted && vec($readable, fileno INOTIFY, 1)) {
    my $events;
    if (sysread(INOTIFY, $events, $wanted)) {
      $wanted = 0;
      send_frame(\*STDOUT, 'E', 0, $events);
    }
  }
  next unless vec($readable, fileno STDIN, 1);
  exit 0 unless take_frames(\*STDIN, \&handle);
}
