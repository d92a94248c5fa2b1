# Common to all helper programs. The loader puts it in front of each, behind a line that sets $ARCH.
#
# No helper loads a module: inside a VM, the folders that perl searches belong to the VM's user.

# use strict, without strict.pm.
BEGIN { $^H |= 0x7e2; }

# A text, which perl parses faster than as many constants.
my %SYS = {
  x64 => q{
    setsid => 112, wait4 => 61, prctl => 157, rt_sigprocmask => 14, signalfd4 => 289, prlimit64 => 302,
    setns => 308, setgroups => 116, setresgid => 119, setresuid => 117, sendmsg => 46,
    openat2 => 437, listxattr => 194, getxattr => 191, setxattr => 188, removexattr => 197,
    inotify_init1 => 294, inotify_add_watch => 254, inotify_rm_watch => 255, getdents64 => 217,
    mount_setattr => 442, keyctl => 250, capset => 126, sethostname => 170, unshare => 272, seccomp => 317, mount => 165,
    open_tree => 428, openat => 257, move_mount => 429, fsopen => 430, fsconfig => 431, fsmount => 432, umount2 => 166,
    fchdir => 81, clone => 56, close_range => 436, dup3 => 292, close => 3, mknodat => 259, pivot_root => 155, setfsuid => 122, setfsgid => 123,
  },
  arm64 => q{
    setsid => 157, wait4 => 260, prctl => 167, rt_sigprocmask => 135, signalfd4 => 74, prlimit64 => 261,
    setns => 268, setgroups => 159, setresgid => 149, setresuid => 147, sendmsg => 211,
    openat2 => 437, listxattr => 11, getxattr => 8, setxattr => 5, removexattr => 14,
    inotify_init1 => 26, inotify_add_watch => 27, inotify_rm_watch => 28, getdents64 => 61,
    mount_setattr => 442, keyctl => 219, capset => 91, sethostname => 161, unshare => 97, seccomp => 277, mount => 40,
    open_tree => 428, openat => 56, move_mount => 429, fsopen => 430, fsconfig => 431, fsmount => 432, umount2 => 39,
    fchdir => 50, clone => 220, close_range => 436, dup3 => 24, close => 57, mknodat => 33, pivot_root => 41, setfsuid => 151, setfsgid => 152,
  },
}->{our $ARCH} =~ /(\w+) => (\d+)/g;
my ($O_DIRECTORY, $O_NOFOLLOW) = $ARCH eq 'arm64' ? (040000, 0100000) : (0200000, 0400000);
my ($O_PATH, $O_CLOEXEC) = (010000000, 02000000);
my ($EINTR, $EAGAIN, $EINVAL) = (4, 11, 22);
