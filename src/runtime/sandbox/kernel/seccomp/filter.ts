import { constants } from "node:os";
import {
  FIRST_UNKNOWN_CALL,
  type FilteredArch,
  type FilteredCall,
  FORBIDDEN_CALLS,
  numberOf,
  RESTRICTED_CALLS,
  type RestrictedCall,
} from "../../system-calls.ts";

/** The system calls that programs of a VM may make. */
export type SeccompPolicy = "default" | "none" | { allow: readonly FilteredCall[] };

/** One instruction of classic BPF: code, steps if true, steps if false, operand. See seccomp(2). */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, operand: number];

const KILL = 0x80000000;
const ALLOW = 0x7fff0000;
const fail = (errno: number) => 0x00050000 | errno;
const { EPERM, ENOMEM, ENOSYS, EPROTONOSUPPORT, EAFNOSUPPORT } = constants.errno;
/** Not among Node's constants. */
const ESOCKTNOSUPPORT = 94;

const AUDIT_ARCH = { x64: 0xc000003e, arm64: 0xc00000b7 };

/** Offsets in struct seccomp_data. Both architectures put the lower half of an argument first. */
const CALL = 0;
const ARCH = 4;
const lowerHalf = (argument: number) => 16 + 8 * argument;
const upperHalf = (argument: number) => lowerHalf(argument) + 4;

const load = (offset: number): Instruction => [0x20, 0, 0, offset];
const and = (mask: number): Instruction => [0x54, 0, 0, mask];
const finish = (action: number): Instruction => [0x06, 0, 0, action];
const ifEqual = (value: number, then: readonly Instruction[]): Instruction[] => [
  [0x15, 0, then.length, value],
  ...then,
];
const ifAtLeast = (value: number, then: readonly Instruction[]): Instruction[] => [
  [0x35, 0, then.length, value],
  ...then,
];
const ifAnyBit = (mask: number, then: readonly Instruction[]): Instruction[] => [
  [0x45, 0, then.length, mask],
  ...then,
];
const oneOf = (values: readonly number[], action: number): Instruction[] =>
  values.flatMap((value) => ifEqual(value, [finish(action)]));

const [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, NETLINK_ROUTE] = [1, 2, 10, 16, 0];
/** Any, ICMP, TCP, UDP, ICMPv6. Each other protocol is a kernel module that a VM could load. */
const PROTOCOLS = [0, 1, 6, 17, 58];
/** SOCK_STREAM, SOCK_DGRAM and SOCK_RAW are below; the bits above are SOCK_NONBLOCK and SOCK_CLOEXEC. */
const [SOCK_TYPES, SOCK_RDM] = [0xf, 4];

const INTERNET: Instruction[] = [
  load(lowerHalf(1)),
  and(SOCK_TYPES),
  ...ifAtLeast(SOCK_RDM, [finish(fail(ESOCKTNOSUPPORT))]),
  load(lowerHalf(2)),
  ...oneOf(PROTOCOLS, ALLOW),
  finish(fail(EPROTONOSUPPORT)),
];

const [TIOCSTI, TIOCLINUX, TIOCSETD] = [0x5412, 0x541c, 0x5423];
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const CLONE_NAMESPACES = 0x7e020000;
/** PER_LINUX32, UNAME26 and ADDR_NO_RANDOMIZE, which debuggers set. */
const HARMLESS_PERSONALITIES = 0x60008;
const PERSONALITY_QUERY = 0xffffffff;
const RLIMIT_CORE = 4;
/** A program that is alone on a core keeps the core's other thread idle, whatever VM or host has work for it. */
const PR_SCHED_CORE = 62;
/** MAP_HUGETLB, MFD_HUGETLB and SHM_HUGETLB. */
const [MAP_HUGE, MEMFD_HUGE, SHM_HUGE] = [0x40000, 4, 0o4000];
/** Flags of memfd_create besides these are invalid: the last are sizes of huge pages. */
const MEMFD_FLAGS = 0x1f | (0x3f << 26);
/** The caller sees success, but its limit stays. Programs that refuse core dumps end if the call fails. */
const PRETEND = fail(0);

/** User and group of a VM, `VM_UID`, and -1: no change. */
const OWN_IDS = [1000, 0xffffffff];

/** A change of owner to another user. The kernel has no number for that user in the VM and says EINVAL; programs expect EPERM. */
const chown = (user: number): Instruction[] => [
  load(lowerHalf(user)),
  ...OWN_IDS.flatMap((id) =>
    ifEqual(id, [load(lowerHalf(user + 1)), ...oneOf(OWN_IDS, ALLOW), finish(fail(EPERM))]),
  ),
  finish(fail(EPERM)),
];

/**
 * Refuses huge pages, as a host does that has not reserved any. The host's user has reserved them for a program of the host, and no
 * cgroup counts them. Programs go on with ordinary pages.
 */
const withoutHugePages = (flags: number, huge: number): Instruction[] => [
  load(lowerHalf(flags)),
  ...ifAnyBit(huge, [finish(fail(ENOMEM))]),
  finish(ALLOW),
];

/** The instructions that decide on a call by its arguments. Each list ends with a decision. */
const DECISIONS: Record<RestrictedCall, readonly Instruction[]> = {
  chown: chown(1),
  clone: [load(lowerHalf(0)), ...ifAnyBit(CLONE_NAMESPACES, [finish(fail(EPERM))]), finish(ALLOW)],
  // Its flags are behind a pointer, which a filter cannot follow. libc falls back to clone.
  clone3: [finish(fail(ENOSYS))],
  fchown: chown(1),
  fchownat: chown(2),
  ioctl: [load(lowerHalf(1)), ...oneOf([TIOCSTI, TIOCLINUX, TIOCSETD], fail(EPERM)), finish(ALLOW)],
  personality: [
    load(lowerHalf(0)),
    ...oneOf([PERSONALITY_QUERY], ALLOW),
    and(~HARMLESS_PERSONALITIES >>> 0),
    ...oneOf([0], ALLOW),
    finish(fail(EPERM)),
  ],
  lchown: chown(1),
  memfd_create: [
    load(lowerHalf(1)),
    // Chromium looks how the kernel answers invalid flags.
    ...ifAnyBit(~MEMFD_FLAGS >>> 0, [finish(ALLOW)]),
    ...withoutHugePages(1, MEMFD_HUGE),
  ],
  mmap: withoutHugePages(3, MAP_HUGE),
  prctl: [load(lowerHalf(0)), ...oneOf([PR_SCHED_CORE], fail(EPERM)), finish(ALLOW)],
  // A process may set its own limits and read those of others. RLIMIT_CORE stays at 1: at 0, the kernel would start
  // the host's handler of core dumps as root.
  prlimit64: [
    load(lowerHalf(2)),
    ...ifEqual(0, [load(upperHalf(2)), ...oneOf([0], ALLOW)]),
    load(lowerHalf(1)),
    ...oneOf([RLIMIT_CORE], PRETEND),
    load(lowerHalf(0)),
    ...oneOf([0], ALLOW),
    finish(fail(EPERM)),
  ],
  setrlimit: [load(lowerHalf(0)), ...oneOf([RLIMIT_CORE], PRETEND), finish(ALLOW)],
  shmget: withoutHugePages(2, SHM_HUGE),
  socket: [
    load(lowerHalf(0)),
    ...oneOf([AF_UNIX], ALLOW),
    ...ifEqual(AF_INET, INTERNET),
    ...ifEqual(AF_INET6, INTERNET),
    ...ifEqual(AF_NETLINK, [
      load(lowerHalf(2)),
      ...oneOf([NETLINK_ROUTE], ALLOW),
      finish(fail(EPROTONOSUPPORT)),
    ]),
    finish(fail(EAFNOSUPPORT)),
  ],
  socketpair: [load(lowerHalf(0)), ...oneOf([AF_UNIX], ALLOW), finish(fail(EAFNOSUPPORT))],
};

/**
 * A seccomp filter as the kernel takes it, in hexadecimal digits; `""` for no filter.
 *
 * A foreign architecture ends the program with SIGSYS. A call that is too new to be known fails with ENOSYS, as on an
 * older kernel. A forbidden call fails with EPERM.
 */
export function seccompFilter(policy: SeccompPolicy, arch: FilteredArch): string {
  if (policy === "none") return "";
  const allowed = new Set<FilteredCall>(policy === "default" ? [] : policy.allow);
  const decide = (name: FilteredCall, decision: readonly Instruction[]) => {
    const number = numberOf(name, arch);
    return number === undefined || allowed.has(name) ? [] : ifEqual(number, decision);
  };
  return encode([
    load(ARCH),
    [0x15, 1, 0, AUDIT_ARCH[arch]],
    finish(KILL),
    load(CALL),
    ...ifAtLeast(FIRST_UNKNOWN_CALL, [finish(fail(ENOSYS))]),
    ...RESTRICTED_CALLS.flatMap((name) => decide(name, DECISIONS[name])),
    ...FORBIDDEN_CALLS.flatMap((name) => decide(name, [finish(fail(EPERM))])),
    finish(ALLOW),
  ]);
}

/** struct sock_filter of each instruction. */
function encode(instructions: readonly Instruction[]): string {
  const bytes = Buffer.alloc(8 * instructions.length);
  instructions.forEach(([code, ifTrue, ifFalse, operand], index) => {
    bytes.writeUInt16LE(code, 8 * index);
    bytes.writeUInt8(ifTrue, 8 * index + 2);
    bytes.writeUInt8(ifFalse, 8 * index + 3);
    bytes.writeUInt32LE(operand >>> 0, 8 * index + 4);
  });
  return bytes.toString("hex");
}
