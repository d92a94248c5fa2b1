# Reads and replaces extended attributes user.* of files and directories below one directory, which is open as
# descriptor ROOT. Runs on the host with the server's rights, ends with its stdin, and never leaves that directory:
# openat2(2) resolves every path beneath it, follows no link and crosses no mount, however the tree changes meanwhile.
#
# Numbers are big-endian. Reads requests, each a length and then
#   "r" INODE PATH      inode 64 bits, path a 16-bit length and bytes, relative to ROOT
#   "s" INODE PATH ATTRIBUTES    whatever else is there goes; inode 0: any
# Writes for each a length, an errno of 32 bits, and for "r" the attributes. ATTRIBUTES: for each a 16-bit length and the
# name, a 32-bit length and the value.
use strict;

my ($root, $nofollow, $max, @numbers) = map { int } @ARGV;
my ($openat2, $listxattr, $getxattr, $setxattr, $removexattr) = @numbers;
my ($O_PATH, $O_CLOEXEC) = (010000000, 02000000);
# RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH
my $HOW = pack('QQQ', $O_PATH | $O_CLOEXEC | $nofollow, 0, 1 | 2 | 4 | 8);
my ($EACCES, $E2BIG, $ESTALE) = (13, 7, 116);
my $LARGEST = 65536;

$0 = 'agentos-attributes';
binmode $_ for *STDIN, *STDOUT;

# Of what it names; each a name, sorted.
sub names {
  my ($file) = @_;
  my $list = "\0" x $LARGEST;
  my $length = syscall($listxattr, $file, $list, $LARGEST);
  return undef if $length < 0;
  return [sort grep { /^user\./ } split /\0/, substr($list, 0, $length)];
}

sub get {
  my ($file) = @_;
  my $names = names($file) or return ($! + 0, '');
  my $found = '';
  for my $name (@$names) {
    my $value = "\0" x $LARGEST;
    my $length = syscall($getxattr, $file, $name, $value, $LARGEST);
    return ($! + 0, '') if $length < 0;
    $found .= pack('n/a* N/a*', $name, substr($value, 0, $length));
    return ($E2BIG, '') if length($found) > $max;
  }
  return (0, $found);
}

sub replace {
  my ($file, $attributes) = @_;
  my %wanted = unpack('(n/a* N/a*)*', $attributes);
  my $names = names($file) or return $! + 0;
  for my $name (@$names) {
    next if exists $wanted{$name};
    return $! + 0 if syscall($removexattr, $file, $name) < 0;
  }
  for my $name (sort keys %wanted) {
    my $value = $wanted{$name};
    # Hash keys are shared; the kernel gets a copy.
    my $key = "$name";
    return $! + 0 if syscall($setxattr, $file, $key, $value, length $value, 0) < 0;
  }
  return 0;
}

# A file that its owner may not write takes no attributes.
sub replace_by_force {
  my ($file, $attributes) = @_;
  my $errno = replace($file, $attributes);
  return $errno unless $errno == $EACCES;
  my $mode = (stat $file)[2] & 07777;
  chmod($mode | 0600, $file) or return $! + 0;
  $errno = replace($file, $attributes);
  chmod($mode, $file) or return $! + 0;
  return $errno;
}

sub answer {
  my ($what, $inode, $path, $attributes) = @_;
  my $fd = syscall($openat2, $root, $path, $HOW, length $HOW);
  return ($! + 0, '') if $fd < 0;
  open(my $held, '<&=', $fd) or return ($! + 0, '');
  my $file = "/proc/self/fd/$fd";
  return ($ESTALE, '') if $inode != 0 && (stat $file)[1] != $inode;
  return get($file) if $what eq 'r';
  return (replace_by_force($file, $attributes), '');
}

sub say_all {
  my ($data) = @_;
  while (length $data) {
    my $written = syswrite(STDOUT, $data);
    exit 0 unless $written;
    substr($data, 0, $written) = '';
  }
}

my ($buffer, $answers) = ('', '');
while (sysread(STDIN, $buffer, 65536, length $buffer)) {
  my $at = 0;
  while (length($buffer) >= $at + 4) {
    my $length = unpack('N', substr($buffer, $at, 4));
    last if length($buffer) < $at + 4 + $length;
    my ($what, $inode, $path, $attributes) = unpack('a1 Q> n/a* a*', substr($buffer, $at + 4, $length));
    $at += 4 + $length;
    my ($errno, $found) = answer($what, $inode, $path, $attributes);
    $answers .= pack('N/a*', pack('N a*', $errno, $found));
    next if length($answers) < 65536;
    say_all($answers);
    $answers = '';
  }
  substr($buffer, 0, $at) = '';
  say_all($answers);
  $answers = '';
}
