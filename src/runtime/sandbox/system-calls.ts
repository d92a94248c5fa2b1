/** Numbers of a system call on x64 and arm64. `null`: the architecture does not have the call. */
type Numbers = readonly [x64: number, arm64: number | null];

/**
 * System calls that a VM may not make. They manage kernel objects without a namespace, or need a capability that no
 * program of a VM has: the kernel's code behind them stays out of reach. Docker's default profile denies them too, but
 * for memfd_secret, modify_ldt and name_to_handle_at.
 */
const FORBIDDEN = {
  // Keyrings.
  add_key: [248, 217],
  keyctl: [250, 219],
  request_key: [249, 218],
  // Interfaces to the kernel with much code.
  bpf: [321, 280],
  fanotify_init: [300, 262],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  io_uring_setup: [425, 425],
  memfd_secret: [447, 447],
  modify_ldt: [154, null],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  // Namespaces and mounts.
  chroot: [161, 51],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fsopen: [430, 430],
  fspick: [433, 433],
  mount: [165, 40],
  mount_setattr: [442, 442],
  move_mount: [429, 429],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  open_tree: [428, 428],
  pivot_root: [155, 41],
  setdomainname: [171, 162],
  sethostname: [170, 161],
  setns: [308, 268],
  umount2: [166, 39],
  unshare: [272, 97],
  // The machine.
  acct: [163, 89],
  clock_settime: [227, 112],
  delete_module: [176, 106],
  finit_module: [313, 273],
  init_module: [175, 105],
  ioperm: [173, null],
  iopl: [172, null],
  kexec_file_load: [320, 294],
  kexec_load: [246, 104],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  reboot: [169, 142],
  settimeofday: [164, 170],
  swapoff: [168, 225],
  swapon: [167, 224],
  syslog: [103, 116],
  vhangup: [153, 58],
  // Other processes and their memory.
  get_mempolicy: [239, 236],
  kcmp: [312, 272],
  mbind: [237, 235],
  migrate_pages: [256, 238],
  move_pages: [279, 239],
  pidfd_getfd: [438, 438],
  process_madvise: [440, 440],
  set_mempolicy: [238, 237],
  set_mempolicy_home_node: [450, 450],
  // Security modules.
  lsm_get_self_attr: [459, 459],
  lsm_list_modules: [461, 461],
  lsm_set_self_attr: [460, 460],
  // Left over from older kernels.
  _sysctl: [156, null],
  lookup_dcookie: [212, 18],
  nfsservctl: [180, 42],
  sysfs: [139, null],
  uselib: [134, null],
  ustat: [136, null],
} as const satisfies Record<string, Numbers>;

/** System calls of which a VM may make some, by their arguments. */
const RESTRICTED = {
  chown: [92, null],
  clone: [56, 220],
  clone3: [435, 435],
  fchown: [93, 55],
  fchownat: [260, 54],
  ioctl: [16, 29],
  lchown: [94, null],
  memfd_create: [319, 279],
  mmap: [9, 222],
  personality: [135, 92],
  prctl: [157, 167],
  prlimit64: [302, 261],
  setrlimit: [160, 164],
  shmget: [29, 194],
  socket: [41, 198],
  socketpair: [53, 199],
} as const satisfies Record<string, Numbers>;

/** System calls that helper programs make, and that a VM may make too. */
const UNFILTERED = {
  capset: [126, 91],
  close: [3, 57],
  close_range: [436, 436],
  dup3: [292, 24],
  fchdir: [81, 50],
  getdents64: [217, 61],
  getxattr: [191, 8],
  inotify_add_watch: [254, 27],
  inotify_init1: [294, 26],
  inotify_rm_watch: [255, 28],
  listxattr: [194, 11],
  mknodat: [259, 33],
  openat: [257, 56],
  openat2: [437, 437],
  removexattr: [197, 14],
  rt_sigprocmask: [14, 135],
  seccomp: [317, 277],
  sendmsg: [46, 211],
  setfsgid: [123, 152],
  setfsuid: [122, 151],
  setgroups: [116, 159],
  setresgid: [119, 149],
  setresuid: [117, 147],
  setsid: [112, 157],
  setxattr: [188, 5],
  signalfd4: [289, 74],
  wait4: [61, 260],
} as const satisfies Record<string, Numbers>;

type ForbiddenCall = keyof typeof FORBIDDEN;
export type RestrictedCall = keyof typeof RESTRICTED;
export type FilteredCall = ForbiddenCall | RestrictedCall;

const namesOf = <Name extends string>(table: Record<Name, Numbers>) => Object.keys(table) as Name[];

export const FORBIDDEN_CALLS = namesOf<ForbiddenCall>(FORBIDDEN);
export const RESTRICTED_CALLS = namesOf<RestrictedCall>(RESTRICTED);
export const FILTERED_CALLS = [...FORBIDDEN_CALLS, ...RESTRICTED_CALLS];

/** First number of the calls that Linux 6.15 and later add. x32 has its numbers above it too. */
export const FIRST_UNKNOWN_CALL = 467;

/** Architectures on which VMs run, in the order of the numbers. */
export const ARCHITECTURES = ["x64", "arm64"] as const;
export type FilteredArch = (typeof ARCHITECTURES)[number];

const ALL: Readonly<Record<string, Numbers>> = { ...FORBIDDEN, ...RESTRICTED, ...UNFILTERED };

/** @returns `undefined` if the architecture does not have the call, or the tables do not name it */
export function numberOf(name: string, arch: FilteredArch): number | undefined {
  return ALL[name]?.[ARCHITECTURES.indexOf(arch)] ?? undefined;
}
