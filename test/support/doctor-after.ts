import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { type SeccompPolicy, seccompFilter } from "../../src/runtime/sandbox/kernel/seccomp/filter.ts";
import type { FilteredArch } from "../../src/runtime/sandbox/system-calls.ts";

/** Folder of the checkout. */
export const ROOT = join(import.meta.dirname, "../..");

/** Installs a filter of system calls for itself, and becomes the program in its arguments. */
const FILTER = `
my $filter = pack('H*', shift);
my $arm = (shift) eq 'arm64';
my $program = pack('S x6 P', length($filter) / 8, $filter);
syscall($arm ? 167 : 157, 38, 1, 0, 0, 0) == 0 or die "prctl: $!";
syscall($arm ? 277 : 317, 1, 0, $program) == 0 or die "seccomp: $!";
exec { $ARGV[0] } @ARGV;
`;

/** Lets the kernel refuse sockets of netlink, all or those of nf_tables (protocol 12), and becomes the program in its arguments. */
const WITHOUT_NETLINK = `
my ($all, $number) = (shift, (shift) eq 'arm64' ? 198 : 41);
# Each instruction: load a word of the call, or compare it with K and jump over so many.
my @code = ([0x20, 0, 0, 0], [0x15, 0, $all ? 3 : 5, $number], [0x20, 0, 0, 16], [0x15, 0, $all ? 1 : 3, 16]);
push @code, [0x20, 0, 0, 32], [0x15, 0, 1, 12] unless $all;
push @code, [0x06, 0, 0, 0x50000 | 93], [0x06, 0, 0, 0x7fff0000];
my $filter = join '', map { pack('S C C L', @$_) } @code;
my $program = pack('S x6 P', scalar @code, $filter);
syscall($number == 198 ? 167 : 157, 38, 1, 0, 0, 0) == 0 or die "prctl: $!";
syscall($number == 198 ? 277 : 317, 1, 0, $program) == 0 or die "seccomp: $!";
exec { $ARGV[0] } @ARGV;
`;

interface DoctorRun {
  /** Shell lines that make the defect. They run as root of the namespaces. */
  lines?: readonly string[];
  /** Options of unshare(1). @default a user namespace that maps one uid, and a mount namespace */
  namespaces?: readonly string[];
  /** Options of setpriv(1) for the doctor. */
  privileges?: readonly string[];
  /** Filter of system calls around the doctor. */
  seccomp?: SeccompPolicy;
  /** Sockets that the kernel has not. */
  missing?: "netlink" | "nf_tables";
}

/** Runs the doctor on a host with a defect that a test makes, in namespaces of its own. */
export function doctorAfter({ lines = [], namespaces, privileges, seccomp, missing }: DoctorRun = {}): {
  status: number | null;
  output: string;
} {
  const filter =
    seccomp === undefined
      ? []
      : ["perl", "-e", FILTER, seccompFilter(seccomp, process.arch as FilteredArch), process.arch];
  const doctor = [
    ...(privileges === undefined ? [] : ["setpriv", ...privileges]),
    ...filter,
    ...(missing === undefined
      ? []
      : ["perl", "-e", WITHOUT_NETLINK, missing === "netlink" ? "1" : "0", process.arch]),
    ...[process.execPath, "src/cli/main.ts", "doctor"],
  ];
  const script = [...lines, `cd '${ROOT}'`, 'exec "$@"'].join("\n");
  const { status, stdout, stderr } = spawnSync(
    "unshare",
    [
      ...(namespaces ?? ["--user", "--map-root-user", "--mount"]),
      ...["--", "bash", "-ec", script, "doctor", ...doctor],
    ],
    { encoding: "utf8" },
  );
  return { status, output: `${stdout}${stderr}` };
}

/** Shell line that makes a program unusable. */
export function withoutProgram(name: string): string {
  return `for path in /usr/bin/${name} /bin/${name}; do mount --bind /etc/passwd $path 2>/dev/null || true; done`;
}
