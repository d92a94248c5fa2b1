// @module-tag attack
import { constants } from "node:os";
import { describe, expect, test } from "vitest";
import { vmOptionsSchema } from "../../../../../src/runtime/options.ts";
import {
  type SeccompPolicy,
  seccompFilter,
} from "../../../../../src/runtime/sandbox/kernel/seccomp/filter.ts";
import {
  type FilteredArch,
  type FilteredCall,
  FORBIDDEN_CALLS,
  numberOf,
} from "../../../../../src/runtime/sandbox/system-calls.ts";
import { DOCKER_DENIED } from "../../../../support/docker-profile.ts";

const { EPERM, ENOMEM, ENOSYS, EAFNOSUPPORT, EPROTONOSUPPORT } = constants.errno;
const ESOCKTNOSUPPORT = 94;
const ARCH = { x64: 0xc000003e, arm64: 0xc00000b7, i386: 0x40000003, arm: 0x40000028 };

/** Runs a filter as the kernel does. @returns `"allow"`, `"kill"` or the errno of the call */
function decide(filter: string, arch: number, call: number, ...args: (number | bigint)[]): string | number {
  const code = Buffer.from(filter, "hex");
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call, 0);
  data.writeUInt32LE(arch, 4);
  args.forEach((value, index) => {
    data.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), 16 + 8 * index);
  });
  let accumulator = 0;
  for (let at = 0; ; at++) {
    const [ifTrue, ifFalse] = [code.readUInt8(8 * at + 2), code.readUInt8(8 * at + 3)];
    const operand = code.readUInt32LE(8 * at + 4);
    const jump = (condition: boolean) => {
      at += condition ? ifTrue : ifFalse;
    };
    switch (code.readUInt16LE(8 * at)) {
      case 0x20:
        accumulator = data.readUInt32LE(operand);
        break;
      case 0x54:
        accumulator = (accumulator & operand) >>> 0;
        break;
      case 0x15:
        jump(accumulator === operand);
        break;
      case 0x35:
        jump(accumulator >= operand);
        break;
      case 0x45:
        jump((accumulator & operand) !== 0);
        break;
      case 0x06:
        if (operand === 0x7fff0000) return "allow";
        if (operand === 0x80000000) return "kill";
        expect(operand >>> 16).toBe(5);
        return operand & 0xffff;
      default:
        throw new Error(`the kernel refuses the instruction at ${at}`);
    }
  }
}

describe.each<FilteredArch>(["x64", "arm64"])("the filter for %s", (arch) => {
  const filter = seccompFilter("default", arch);
  const run = (name: FilteredCall, ...args: (number | bigint)[]) =>
    decide(filter, ARCH[arch], numberOf(name, arch) as number, ...args);

  test("refuses each forbidden call", () => {
    const calls = FORBIDDEN_CALLS.filter((name) => numberOf(name, arch) !== undefined);
    expect(calls.length).toBeGreaterThan(55);
    expect(calls.filter((name) => run(name) !== EPERM)).toEqual([]);
  });

  test("refuses each call that Docker's default profile denies", () => {
    const denied = DOCKER_DENIED.flatMap(([name, x64, arm64]) => {
      const call = arch === "x64" ? x64 : arm64;
      return call === null ? [] : [[name, call] as const];
    });
    expect(denied.length).toBeGreaterThan(50);
    expect(denied.filter(([, call]) => decide(filter, ARCH[arch], call) !== EPERM)).toEqual([]);
    const [NEWUSER, VSOCK, LINUX32_UNSAFE] = [1 << 28, 40, 0x400000];
    expect(run("clone", NEWUSER)).toBe(EPERM);
    expect(run("clone3")).toBe(ENOSYS);
    expect(run("socket", VSOCK, 1, 0)).toBe(EAFNOSUPPORT);
    expect(run("personality", LINUX32_UNSAFE)).toBe(EPERM);
  });

  test("allows what programs need", () => {
    const names =
      arch === "x64" ? [0, 1, 9, 57, 59, 101, 202, 262, 310, 434] : [63, 64, 222, 221, 117, 270, 434];
    for (const call of names) expect([call, decide(filter, ARCH[arch], call)]).toEqual([call, "allow"]);
  });

  test("refuses changes of owner to users that the VM does not have", () => {
    const own = [1000, 0xffffffff, -1];
    for (const [name, ...before] of [
      ["fchown", 3],
      ["fchownat", 3, 0x1000],
    ] as const) {
      const answers = (user: number, group: number) => run(name, ...before, user, group);
      for (const user of own) for (const group of own) expect(answers(user, group)).toBe("allow");
      for (const other of [0, 1, 999, 1001, 65534]) {
        expect([answers(other, 1000), answers(1000, other)]).toEqual([EPERM, EPERM]);
      }
    }
  });

  test("ends programs of other architectures, and refuses calls of x32 or of newer kernels", () => {
    for (const other of Object.values(ARCH).filter((value) => value !== ARCH[arch]))
      expect(decide(filter, other, 1)).toBe("kill");
    for (const call of [467, 500, 0x40000001, 0x40000208, 0xffffffff])
      expect(decide(filter, ARCH[arch], call)).toBe(ENOSYS);
    expect(decide(filter, ARCH[arch], 466)).toBe("allow");
  });

  test("allows clone without namespaces, and lets libc fall back from clone3", () => {
    const THREAD = 0x3d0f00;
    expect(run("clone", THREAD)).toBe("allow");
    expect(run("clone", 17)).toBe("allow");
    for (const bit of [17, 25, 26, 27, 28, 29, 30]) expect(run("clone", THREAD | (1 << bit))).toBe(EPERM);
    expect(run("clone3")).toBe(ENOSYS);
  });

  test("answers that the host has no huge pages", () => {
    const [PRIVATE_ANONYMOUS, MAP_HUGETLB, TWO_MIB] = [0x22, 0x40000, 21 << 26];
    const mmap = (flags: number) => run("mmap", 0, 2 << 20, 3, flags, -1, 0);
    expect([mmap(PRIVATE_ANONYMOUS), mmap(PRIVATE_ANONYMOUS | MAP_HUGETLB)]).toEqual(["allow", ENOMEM]);
    expect(mmap(PRIVATE_ANONYMOUS | MAP_HUGETLB | TWO_MIB)).toBe(ENOMEM);
    const [CLOEXEC_SEALING, MFD_HUGETLB] = [3, 4];
    expect([run("memfd_create", 0, CLOEXEC_SEALING), run("memfd_create", 0, MFD_HUGETLB)]).toEqual([
      "allow",
      ENOMEM,
    ]);
    expect(run("memfd_create", 0, MFD_HUGETLB | TWO_MIB)).toBe(ENOMEM);
    // The kernel answers EINVAL.
    expect(run("memfd_create", 0, 0xffffffff)).toBe("allow");
    const [IPC_CREAT, SHM_HUGETLB] = [0o1600, 0o4000];
    expect([
      run("shmget", 0, 2 << 20, IPC_CREAT),
      run("shmget", 0, 2 << 20, IPC_CREAT | SHM_HUGETLB),
    ]).toEqual(["allow", ENOMEM]);
  });

  test("keeps programs from typing on a terminal and from changing its line discipline", () => {
    for (const request of [0x5412, 0x541c, 0x5423]) {
      expect(run("ioctl", 0, request)).toBe(EPERM);
      // The kernel ignores the upper half.
      expect(run("ioctl", 0, 0x100000000 + request)).toBe(EPERM);
    }
    for (const request of [0x5401, 0x5410, 0x5413, 0x5421]) expect(run("ioctl", 0, request)).toBe("allow");
  });

  test("allows sockets of UNIX, TCP, UDP, ICMP and routes alone", () => {
    const [STREAM, DATAGRAM, RAW, SEQUENCED] = [1, 2, 3, 5];
    const flags = 0o2004000;
    expect(run("socket", 1, SEQUENCED | flags, 0)).toBe("allow");
    for (const family of [2, 10]) {
      for (const protocol of [0, 6]) expect(run("socket", family, STREAM | flags, protocol)).toBe("allow");
      for (const protocol of [0, 17, 1, 58]) expect(run("socket", family, DATAGRAM, protocol)).toBe("allow");
      expect(run("socket", family, RAW, 1)).toBe("allow");
      for (const protocol of [33, 132, 136, 262])
        expect(run("socket", family, STREAM, protocol)).toBe(EPROTONOSUPPORT);
      for (const type of [4, SEQUENCED, 6, 10])
        expect(run("socket", family, type | flags, 0)).toBe(ESOCKTNOSUPPORT);
    }
    expect(run("socket", 16, RAW | flags, 0)).toBe("allow");
    for (const protocol of [2, 4, 9, 12, 15, 16])
      expect(run("socket", 16, RAW, protocol)).toBe(EPROTONOSUPPORT);
    const families = Array.from({ length: 46 }, (_, family) => family).filter(
      (it) => ![1, 2, 10, 16].includes(it),
    );
    expect(families.filter((family) => run("socket", family, STREAM, 0) !== EAFNOSUPPORT)).toEqual([]);
    expect(run("socketpair", 1, STREAM, 0)).toBe("allow");
    expect(run("socketpair", 30, STREAM, 0)).toBe(EAFNOSUPPORT);
  });

  test("lets a process change its own limits alone, and its core limit only in appearance", () => {
    const [CORE, FILES] = [4, 7];
    for (const pointer of [0x1000, 0x1000_0000_0000]) {
      expect(run("prlimit64", 0, FILES, pointer, 0)).toBe("allow");
      expect(run("prlimit64", 12, FILES, pointer, 0)).toBe(EPERM);
      expect(run("prlimit64", 0, CORE, pointer, 0)).toBe(0);
    }
    expect(run("prlimit64", 12, FILES, 0, 0x1000)).toBe("allow");
    expect(run("prlimit64", 0, CORE, 0, 0x1000)).toBe("allow");
    expect(run("setrlimit", FILES, 0x1000)).toBe("allow");
    expect(run("setrlimit", CORE, 0x1000)).toBe(0);
  });

  test("allows personalities that debuggers and uname use", () => {
    for (const wanted of [0, 8, 0x20000, 0x40000, 0x60008, 0xffffffff])
      expect(run("personality", wanted)).toBe("allow");
    for (const wanted of [1, 0x100000, 0x400000, 0x440000]) expect(run("personality", wanted)).toBe(EPERM);
  });

  test("refuses a core that no other program shares, and no other option of prctl", () => {
    expect([0, 1, 2, 3].map((command) => run("prctl", 62, command))).toEqual([EPERM, EPERM, EPERM, EPERM]);
    for (const option of [1, 4, 15, 22, 36, 38, 61, 63]) expect(run("prctl", option)).toBe("allow");
  });

  test("an allowed name passes, all others stay refused", () => {
    const policy: SeccompPolicy = { allow: ["io_uring_setup", "clone3", "socket"] };
    const changed = seccompFilter(policy, arch);
    const runChanged = (name: FilteredCall, ...args: number[]) =>
      decide(changed, ARCH[arch], numberOf(name, arch) as number, ...args);
    expect(policy.allow.map((name) => runChanged(name, 40))).toEqual(["allow", "allow", "allow"]);
    expect(runChanged("io_uring_enter")).toBe(EPERM);
    expect(runChanged("socketpair", 40)).toBe(EAFNOSUPPORT);
    expect(seccompFilter("none", arch)).toBe("");
  });
});

test("the option takes names of refused calls alone", () => {
  const parse = (seccomp: unknown) => vmOptionsSchema.safeParse({ seccomp }).success;
  expect(vmOptionsSchema.parse({}).seccomp).toBe("default");
  expect(parse("none")).toBe(true);
  expect(parse({ allow: ["keyctl", "perf_event_open"] })).toBe(true);
  for (const wrong of ["off", { allow: ["no_such_call"] }, { allow: "keyctl" }, { deny: [] }, 1, null])
    expect(parse(wrong)).toBe(false);
});
