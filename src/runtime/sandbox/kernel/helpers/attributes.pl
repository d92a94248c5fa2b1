# Reads and replaces extended attributes user.* of files and directories below one directory, which is open as
# descriptor ROOT. Runs on the host with the server's rights, ends with its stdin, and never leaves that directory:
# openat2(2) resolves every name, follows no link and crosses no mount, however the tree changes meanwhile. A step up counts only
# if it leads to the directory from which the program came.
#
# Reads frames, ID being the server's:
#   "r" ID INODE SHARED PATH      inode 64 bits; number of directories, from ROOT on, that the last path shares, 32 bits;
#                                 the rest of the path, a 32-bit length and bytes
#   "s" ID INODE SHARED PATH ATTRIBUTES    replaces all attributes; inode 0: any
# Writes for each "r" ID ERRNO ATTRIBUTES or "s" ID ERRNO, in the order of the requests. ERRNO has 32 bits. ATTRIBUTES:
# for each a 16-bit length and the name, a 32-bit length and the value.

my ($root, $max) = map { int } @ARGV;
my ($EACCES, $E2BIG, $ESTALE) = (13, 7, 116);
my $LARGEST = 65536;
my $HEAD_BYTES = 16;

$0 = 'agentos-attributes';
binmode $_ for *STDIN, *STDOUT;

# Of what it names; each a name, sorted.
sub names {
  my ($file) = @_;
  my $list = "\0" x $LARGEST;
  my $length = syscall($SYS{listxattr}, $file, $list, $LARGEST);
  return undef if $length < 0;
  return [sort grep { /^user\./ } split /\0/, substr($list, 0, $length)];
}

sub get {
  my ($file) = @_;
  my $names = names($file) or return ($! + 0, '');
  my $found = '';
  for my $name (@$names) {
    my $value = "\0" x $LARGEST;
    my $length = syscall($SYS{getxattr}, $file, $name, $value, $LARGEST);
    return ($! + 0, '') if $length < 0;
    $found .= pack('n/a* N/a*', $name, substr($value, 0, $length));
    return ($E2BIG, '') if length($found) > $max;
  }
  return (0, $found);
}

sub replace {
  my ($file, %wanted) = @_;
  my $names = names($file) or return $! + 0;
  for my $name (@$names) {
    next if exists $wanted{$name};
    return $! + 0 if syscall($SYS{removexattr}, $file, $name) < 0;
  }
  for my $name (sort keys %wanted) {
    my $value = $wanted{$name};
    # Hash keys are shared; the kernel gets a copy.
    my $key = "$name";
    return $! + 0 if syscall($SYS{setxattr}, $file, $key, $value, length $value, 0) < 0;
  }
  return 0;
}

# A file that its owner may not write takes no attributes.
sub replace_by_force {
  my ($file, @attributes) = @_;
  my $errno = replace($file, @attributes);
  return $errno unless $errno == $EACCES;
  my $mode = (stat $file)[2] & 07777;
  chmod($mode | 0600, $file) or return $! + 0;
  $errno = replace($file, @attributes);
  chmod($mode, $file) or return $! + 0;
  return $errno;
}

# Names and values in turn.
sub attributes_in {
  my ($bytes) = @_;
  my @found;
  for (my $at = 0; $at < length $bytes;) {
    for my $width (2, 4) {
      break_off() if length $bytes < $at + $width;
      my $length = unpack($width == 2 ? 'n' : 'N', substr($bytes, $at, $width));
      break_off() if length $bytes < $at + $width + $length;
      push @found, substr($bytes, $at + $width, $length);
      $at += $width + $length;
    }
    break_off() if $found[-2] =~ /\0/;
  }
  return @found;
}

# Names of the directories on the way to the last file, the inodes of the directories that are open so far, and the last one. A way
# from the root for each file would make the time for a deep tree quadratic.
my (@names, @inodes, $here);

sub here { return defined $here ? fileno $here : $root; }

sub enter {
  my ($fd) = @_;
  return 0 if $fd < 0;
  open($here, '<&=', $fd) or return 0;
  return 1;
}

sub go_up {
  pop @inodes;
  if (!@inodes) { undef $here; return; }
  # Another directory above: a process has moved this one. The next step starts at the root.
  my $fd = open_above(here());
  if (!enter($fd) || (stat "/proc/self/fd/$fd")[1] != $inodes[-1]) { @inodes = (); undef $here; }
}

# Opens a name behind the first directories of the last way and then further ones.
sub open_next {
  my ($shared, @next) = @_;
  my $name = pop @next;
  break_off() if $shared > @names || !defined $name;
  splice @names, $shared, @names, @next;
  go_up() while @inodes > $shared;
  for my $directory (@names[scalar @inodes .. $#names]) {
    my $fd = open_beneath(here(), $directory, $O_PATH | $O_DIRECTORY);
    enter($fd) or return -1;
    push @inodes, (stat "/proc/self/fd/$fd")[1];
  }
  return open_beneath(here(), $name, $O_PATH);
}

sub answer {
  my ($kind, $inode, $shared, $path, $rest) = @_;
  my @attributes = attributes_in($rest);
  my $fd = open_next($shared, split m{/}, $path);
  return ($! + 0, '') if $fd < 0;
  open(my $held, '<&=', $fd) or return ($! + 0, '');
  my $file = "/proc/self/fd/$fd";
  return ($ESTALE, '') if $inode != 0 && (stat $file)[1] != $inode;
  return get($file) if $kind eq 'r';
  return (replace_by_force($file, @attributes), '');
}

my $answers = '';
sub say_all {
  write_all(\*STDOUT, $answers);
  $answers = '';
}

sub handle {
  my ($kind, $id, $body) = @_;
  break_off() unless $kind =~ /^[rs]\z/ && length $body >= $HEAD_BYTES;
  break_off() if length $body < $HEAD_BYTES + unpack('x12 N', $body);
  my ($errno, $found) = answer($kind, unpack('Q> N N/a* a*', $body));
  $answers .= frame($kind, $id, pack('N a*', $errno, $found));
  say_all() if length $answers >= $LARGEST;
}

say_all() while take_frames(\*STDIN, \&handle);
