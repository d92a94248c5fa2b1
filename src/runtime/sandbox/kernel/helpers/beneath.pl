# Common to the programs that open paths below a descriptor.

# Flags of openat2(2): RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH
my $RESOLVE_BENEATH = 1 | 2 | 4 | 8;

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
