/** Numbers of the system calls that perl has no function for. */
export interface SyscallNumbers {
  setsid: number;
  wait4: number;
  prctl: number;
  rt_sigprocmask: number;
  signalfd4: number;
  prlimit64: number;
  setns: number;
  setgroups: number;
  setresgid: number;
  setresuid: number;
  sendmsg: number;
  openat2: number;
  listxattr: number;
  getxattr: number;
  setxattr: number;
  removexattr: number;
  inotify_init1: number;
  inotify_add_watch: number;
  inotify_rm_watch: number;
  getdents64: number;
}

const NUMBERS: Partial<Record<NodeJS.Architecture, SyscallNumbers>> = {
  x64: {
    ...{ setsid: 112, wait4: 61, prctl: 157, rt_sigprocmask: 14, signalfd4: 289, prlimit64: 302 },
    ...{ setns: 308, setgroups: 116, setresgid: 119, setresuid: 117, sendmsg: 46 },
    ...{ openat2: 437, listxattr: 194, getxattr: 191, setxattr: 188, removexattr: 197 },
    ...{ inotify_init1: 294, inotify_add_watch: 254, inotify_rm_watch: 255, getdents64: 217 },
  },
  arm64: {
    ...{ setsid: 157, wait4: 260, prctl: 167, rt_sigprocmask: 135, signalfd4: 74, prlimit64: 261 },
    ...{ setns: 268, setgroups: 159, setresgid: 149, setresuid: 147, sendmsg: 211 },
    ...{ openat2: 437, listxattr: 11, getxattr: 8, setxattr: 5, removexattr: 14 },
    ...{ inotify_init1: 26, inotify_add_watch: 27, inotify_rm_watch: 28, getdents64: 61 },
  },
};

export function syscallNumbers(): SyscallNumbers | undefined {
  return NUMBERS[process.arch];
}
