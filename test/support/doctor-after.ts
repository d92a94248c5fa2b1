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

interface DoctorRun {
  /** Shell lines that make the defect. They run as root of the namespaces. */
  lines?: readonly string[];
  /** Options of unshare(1). @default a user namespace that maps one uid, and a mount namespace */
  namespaces?: readonly string[];
  /** Options of setpriv(1) for the doctor. */
  privileges?: readonly string[];
  /** Filter of system calls around the doctor. */
  seccomp?: SeccompPolicy;
}

/** Runs the doctor on a host with a defect that a test makes, in namespaces of its own. */
export function doctorAfter({ lines = [], namespaces, privileges, seccomp }: DoctorRun = {}): {
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
