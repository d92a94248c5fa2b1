# Mounts a folder into a running VM, or takes a mount away. Runs on the host, enters the VM's mount namespace, and starts no
# program. From then on every name is looked up beneath descriptors: without links, and never outside the VM's root.
#
# Descriptors: ROOT, the VM's root; MOUNT, its mount namespace; USER, its user namespace, or -1 for a root server; HELD, the mount to
# take away, or -1. The other arguments are names and values in turn:
#   do        host, memory, overlay, unmount or resize
#   bytes     size of the root for resize
#   target    place in the VM, relative to its root
#   folder    an allowed folder of the host; below it `name`
#   ids       "UID GID" of the VM, which stand for the owner and group of the host's folder; nothing leaves them as they are
#   private   1 if a file of the folder's owner with a set-user-ID bit would harm nobody
#   readonly  1 or 0
#   options   options of a tmpfs, NAME=VALUE, separated by commas
#   upper, work   layers of an overlay, relative to the VM's root; `whiteout`: text of links in the upper layer, each for a whiteout
#
# Writes "m" 0 DEV INODE, in 64 bits each, or "e" ERRNO STEP. After "m" of a new mount it reads "k", or takes the mount away again.

my ($root, $mount_ns, $user_ns, $held) = map { int } splice(@ARGV, 0, 4);
my %arg = @ARGV;
my ($CLONE_NEWNS, $CLONE_NEWUSER, $NS_GET_PARENT) = (0x20000, 0x10000000, 0xb702);
my ($AT_FDCWD, $AT_EMPTY_PATH, $AT_RECURSIVE) = (-100, 0x1000, 0x8000);
my ($OPEN_TREE_CLONE, $EMPTY_PATHS) = (1, 0x4 | 0x40);
my ($RDONLY, $NOSUID, $NODEV, $IDMAP) = (1, 2, 4, 0x100000);
my ($SET_FLAG, $SET_STRING, $CREATE, $RECONFIGURE) = (0, 1, 6, 7);
my ($MS_PRIVATE, $MNT_DETACH) = (1 << 18, 2);
# RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT
my ($BENEATH, $IN_ROOT) = (2 | 4 | 8, 2 | 4 | 16);
my $S_IFCHR = 0020000;
my $MAX_DEPTH = 200;
my ($nothing, $here) = ('', '.');
my $flags = $NOSUID | $NODEV | ($arg{readonly} ? $RDONLY : 0);

$0 = 'agentos-mounter';
binmode STDOUT;

# A mount that does not stay if the program stops.
my $passing;
sub let_go {
  syscall($SYS{umount2}, $here, $MNT_DETACH) if defined $passing && syscall($SYS{fchdir}, $passing) == 0;
  undef $passing;
}
END { let_go(); }
sub stop {
  my $errno = $_[1] // $! + 0;
  let_go();
  send_frame(\*STDOUT, 'e', $errno, $_[0]);
  exit 1;
}
sub must { my $step = shift; my $result = syscall(shift, @_); stop($step) if $result < 0; return $result; }

# Opens a directory beneath another one.
sub directory {
  my ($step, $at, $name, $resolve) = @_;
  $name = '.' unless length $name;
  my $how = pack('QQQ', $O_PATH | $O_DIRECTORY | $O_NOFOLLOW | $O_CLOEXEC, 0, $resolve);
  return must($step, $SYS{openat2}, $at, $name, $how, length $how);
}

sub inside { return directory($_[0], $root, $arg{$_[1]}, $IN_ROOT); }

# Enters the VM. An ordinary user has no right over mounts outside of its user namespaces, so it makes a copy of the host's mounts
# in the outer one, where it may clone a folder.
my $user;
sub enter_outer {
  return if $user_ns < 0;
  open($user, '<&=', $user_ns) or stop('namespace');
  my $outer = ioctl($user, $NS_GET_PARENT, 0) or stop('namespace');
  must('namespace', $SYS{setns}, int $outer, $CLONE_NEWUSER);
  must('namespace', $SYS{unshare}, $CLONE_NEWNS);
}

sub enter_vm {
  must('namespace', $SYS{setns}, $user_ns, $CLONE_NEWUSER) if $user_ns >= 0;
  must('namespace', $SYS{setns}, $mount_ns, $CLONE_NEWNS);
}

# A user namespace with a map of ids, which a child holds until it is open.
sub map_of {
  my ($uid, $gid) = @_;
  my ($vm_uid, $vm_gid) = split / /, $arg{ids};
  # The server writes as root: its files get an id that is not the folder's, and then the VM's.
  my $lines = sub { my ($id, $vm) = @_; return "$id $vm 1\n" . ($id ? "0 0 1\n" : "$vm 0 1\n"); };
  pipe(my $ready, my $tell) && pipe(my $wait, my $end) or stop('map');
  my $pid = fork;
  stop('map') unless defined $pid;
  if ($pid == 0) {
    close $end;
    syswrite($tell, syscall($SYS{unshare}, $CLONE_NEWUSER) == 0 ? 'y' : 'n');
    sysread($wait, my $byte, 1);
    # Without perl's end of a program, which would flush the output twice.
    kill('KILL', $$);
  }
  close $tell;
  my ($fd, $answer, $map) = (-1);
  if (sysread($ready, $answer, 1) && $answer eq 'y') {
    my $written = 1;
    for (['uid_map', $lines->($uid, $vm_uid)], ['gid_map', $lines->($gid, $vm_gid)]) {
      my ($file, $text) = @$_;
      $written &&= open($map, '>', "/proc/$pid/$file") && syswrite($map, $text);
    }
    my $path = "/proc/$pid/ns/user";
    $fd = syscall($SYS{openat}, $AT_FDCWD, $path, $O_CLOEXEC, 0) if $written;
  }
  my $errno = $! + 0;
  close $end;
  waitpid($pid, 0);
  stop('map', $errno) if $fd < 0;
  return $fd;
}

# Clones an allowed folder of the host with all mounts below it.
sub host_tree {
  my ($read_only) = @_;
  # RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS: the path of the operator has no links.
  my $folder = directory('folder', $AT_FDCWD, $arg{folder}, 2 | 4);
  my $source = directory('folder', $folder, $arg{name}, $BENEATH);
  open(my $opened, '<&=', $source) or stop('folder');
  my ($mode, $uid, $gid) = (stat $opened)[2, 4, 5];
  # A program of the VM could leave a set-user-ID program of root there.
  stop('owner', 0) if !$read_only && !$uid && !$arg{private} && $mode & 0011;
  my $tree = must('clone', $SYS{open_tree}, $source, $nothing, $OPEN_TREE_CLONE | $O_CLOEXEC | $AT_EMPTY_PATH | $AT_RECURSIVE);
  my $plain = pack('QQQQ', $NOSUID | $NODEV | ($read_only ? $RDONLY : 0), 0, $MS_PRIVATE, 0);
  must('flags', $SYS{mount_setattr}, $tree, $nothing, $AT_EMPTY_PATH | $AT_RECURSIVE, $plain, length $plain);
  if (length $arg{ids}) {
    my $mapped = pack('QQQQ', $IDMAP, 0, 0, map_of($uid, $gid));
    must('idmap', $SYS{mount_setattr}, $tree, $nothing, $AT_EMPTY_PATH | $AT_RECURSIVE, $mapped, length $mapped);
  }
  return $tree;
}

sub attach { must('attach', $SYS{move_mount}, $_[0], $nothing, inside('target', 'target'), $nothing, $EMPTY_PATHS); }

sub detach {
  must('detach', $SYS{fchdir}, $_[0]);
  must('detach', $SYS{umount2}, $here, $MNT_DETACH);
}

sub set { my ($fs, $step, $command, $key, $value) = @_; must($step, $SYS{fsconfig}, $fs, $command, $key, $value, 0); }

sub make {
  my ($fs, $step) = @_;
  set($fs, $step, $CREATE, 0, 0);
}

sub memory {
  my $type = 'tmpfs';
  my $fs = must('tmpfs', $SYS{fsopen}, $type, 1);
  for my $option (split /,/, $arg{options}) {
    my ($key, $value) = split /=/, $option, 2;
    set($fs, 'tmpfs', $SET_STRING, $key, $value);
  }
  make($fs, 'tmpfs');
  return must('tmpfs', $SYS{fsmount}, $fs, 1, $flags);
}

# A checkpoint stores a whiteout as a link.
sub make_whiteouts {
  my ($fd, $depth) = @_;
  return if $depth > $MAX_DEPTH || syscall($SYS{fchdir}, $fd) < 0;
  opendir(my $listing, '.') or return;
  my @names = grep { $_ ne '.' && $_ ne '..' } readdir $listing;
  closedir $listing;
  for my $name (@names) {
    if (-l $name) {
      next unless (readlink($name) // '') eq $arg{whiteout};
      unlink($name) or next;
      syscall($SYS{mknodat}, $AT_FDCWD, $name, $S_IFCHR, 0);
    } elsif (-d _) {
      my $how = pack('QQQ', $O_PATH | $O_DIRECTORY | $O_NOFOLLOW | $O_CLOEXEC, 0, $RESOLVE_BENEATH);
      my $below = syscall($SYS{openat2}, $fd, $name, $how, length $how);
      next if $below < 0;
      open(my $held, '<&=', $below) or next;
      make_whiteouts($below, $depth + 1);
      return if syscall($SYS{fchdir}, $fd) < 0;
    }
  }
}

sub overlay {
  my ($lower) = @_;
  my ($upper, $work) = (inside('upper', 'upper'), inside('upper', 'work'));
  make_whiteouts($upper, 0);
  # Before Linux 6.15 a layer must be in the mount namespace. It is in the place of the overlay for a moment.
  attach($lower);
  $passing = $lower;
  my $type = 'overlay';
  my $fs = must('overlay', $SYS{fsopen}, $type, 1);
  for (['lowerdir', $lower], ['upperdir', $upper], ['workdir', $work]) {
    my ($key, $fd) = @$_;
    # Paths would be the VM's to replace.
    must('overlay', $SYS{fchdir}, $fd);
    set($fs, 'overlay', $SET_STRING, $key, $here);
  }
  my $attributes = 'userxattr';
  set($fs, 'overlay', $SET_FLAG, $attributes, 0);
  my $made = syscall($SYS{fsconfig}, $fs, $CREATE, 0, 0, 0);
  my $errno = $! + 0;
  undef $passing;
  detach($lower);
  stop('overlay', $errno) if $made < 0;
  return must('overlay', $SYS{fsmount}, $fs, 1, $flags);
}

sub report {
  my ($fd) = @_;
  open(my $made, '<&', $fd) or stop('stat');
  my ($dev, $inode) = stat $made or stop('stat');
  send_frame(\*STDOUT, 'm', 0, pack('Q>Q>', $dev, $inode));
}

# Attaches a mount. It stays if its path leads the server to it: a program of the VM may have moved a folder above it meanwhile, and
# the mount would be in no list.
sub offer {
  my ($tree) = @_;
  attach($tree);
  $passing = $tree;
  report($tree);
  my $kept;
  1 while !defined $kept && take_frames(\*STDIN, sub { $kept = $_[0] eq 'k' });
  undef $passing;
  detach($tree) unless $kept;
}

my $do = $arg{do};
if ($do eq 'host') {
  enter_outer();
  my $tree = host_tree($arg{readonly});
  enter_vm();
  offer($tree);
} elsif ($do eq 'overlay') {
  enter_outer();
  my $lower = host_tree(1);
  enter_vm();
  offer(overlay($lower));
} elsif ($do eq 'memory') {
  enter_vm();
  offer(memory());
} elsif ($do eq 'resize') {
  # The tmpfs of the root belongs to the host, or to the outer user namespace of an ordinary user.
  enter_outer();
  must('namespace', $SYS{setns}, $mount_ns, $CLONE_NEWNS);
  # A remount would make a read-only root writable.
  my ($at, $key, $size) = ('/', 'size', "$arg{bytes}");
  my $fs = must('tmpfs', $SYS{fspick}, $AT_FDCWD, $at, 1);
  set($fs, 'tmpfs', $SET_STRING, $key, $size);
  set($fs, 'tmpfs', $RECONFIGURE, 0, 0);
  send_frame(\*STDOUT, 'm', 0, pack('Q>Q>', 0, 0));
} elsif ($do eq 'unmount') {
  enter_vm();
  detach($held);
  send_frame(\*STDOUT, 'm', 0, pack('Q>Q>', 0, 0));
} else { break_off(); }
