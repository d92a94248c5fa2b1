# Makes all mounts of the host in a VM read-only, without set-user-ID programs and devices. A boot does so inside the VM's
# mount namespace, because the host may mount a file system below a shared folder at any time.
#
# mount_setattr(2), since Linux 5.12, reaches every mount below a folder, also a mount that another mount hides. On an
# older kernel, mount(2) changes the mounts one by one.

my ($MS_RDONLY, $MS_NOSUID, $MS_NODEV, $MS_NOEXEC, $MS_REMOUNT, $MS_BIND) = (1, 2, 4, 8, 32, 4096);

# Mounts as they are now: path and options. See proc_pid_mountinfo(5).
sub mounts {
  open(my $file, '<', '/proc/self/mountinfo') or fail('cannot list the mounts');
  # In a path, blanks and backslashes are octal numbers.
  return map { my (undef, undef, undef, undef, $path, $options) = split(/ /); [$path =~ s/\\([0-7]{3})/chr(oct $1)/ger, $options] } <$file>;
}

sub seal {
  my (@targets) = @_;
  my ($fdcwd, $recursive, $nothing) = (-100, 0x8000, '');
  # MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV
  my $attributes = pack('QQQQ', 1 | 2 | 4, 0, 0, 0);
  syscall($SYS{mount_setattr}, $fdcwd, $_, $recursive, $attributes, length $attributes) for @targets;
  for my $mount (mounts()) {
    my ($path, $options) = @$mount;
    next if $path =~ m{^/(dev/.*|proc)?\z}s || $options =~ /^ro,nosuid,nodev/;
    # A user namespace may not take noexec off a mount.
    my $flags = $MS_REMOUNT | $MS_BIND | $MS_RDONLY | $MS_NOSUID | $MS_NODEV | ($options =~ /\bnoexec\b/ ? $MS_NOEXEC : 0);
    next if syscall($SYS{mount}, $nothing, $path, $nothing, $flags, $nothing) == 0;
    # Another mount may hide the path.
    fail("cannot make the mount $path of the host read-only") if -e $path;
  }
}
