import { spawnSync } from "node:child_process";
import { vmOptionsSchema } from "../../options.ts";
import { cgroupSupport } from "./cgroup.ts";
import { KernelSandboxFactory } from "./factory.ts";
import { findHostNode } from "./host-node.ts";
import { readProc } from "./procfs.ts";
import { findTool, missingTools, SYSTEM_PATH } from "./tools.ts";

export interface Check {
  name: string;
  /** `false` only for what a VM cannot do without. */
  ok: boolean;
  detail: string;
  /** How to make it work, where it does not, or better. */
  fix?: string;
}

export interface Diagnosis {
  /** `true` when VMs can run here. */
  ok: boolean;
  checks: Check[];
}

const TRIAL_TIMEOUT_MS = 10_000;

/** Looks at everything that the kernel sandbox needs, and at last boots a VM. */
export async function diagnose(): Promise<Diagnosis> {
  const needed = [
    checkPlatform,
    checkTools,
    checkVersions,
    checkUserNamespaces,
    checkProcMount,
    checkChildren,
  ];
  const checks: Check[] = [];
  for (const check of needed) {
    checks.push(check());
    // The checks that follow would only fail of the same.
    if (checks.some(({ ok }) => !ok)) return { ok: false, checks };
  }
  checks.push(checkLoopback(), checkNode(), checkCgroups(), await checkBoot());
  return { ok: checks.every(({ ok }) => ok), checks };
}

/** A thing that a VM cannot do without. */
function required(name: string, ok: boolean, detail: string, fix: string): Check {
  return ok ? { name, ok, detail } : { name, ok, detail, fix };
}

/** A thing that a VM is better with. */
function wanted(name: string, there: boolean, detail: string, fix: string): Check {
  return there ? { name, ok: true, detail } : { name, ok: true, detail, fix };
}

function checkPlatform(): Check {
  const ok = process.platform === "linux";
  const detail = ok ? (readProc("/proc/sys/kernel/osrelease") ?? "").trim() : `this is ${process.platform}`;
  return required(
    "Linux",
    ok,
    detail,
    'The kernel sandbox runs on Linux only; elsewhere use runtime: "memory".',
  );
}

function checkTools(): Check {
  const missing = missingTools();
  return required(
    "programs",
    missing.length === 0,
    missing.length === 0 ? "util-linux, coreutils and a shell are there" : `missing: ${missing.join(", ")}`,
    "Install util-linux, bsdutils and coreutils (on Fedora also util-linux-script).",
  );
}

function checkVersions(): Check {
  const version = run("unshare", ["--version"]).output.trim();
  const help = run("unshare", ["--help"]).output;
  const lacking = ["--map-user", "--map-group", "--keep-caps", "--kill-child"].filter(
    (option) => !help.includes(option),
  );
  if (!run("env", ["--ignore-signal=CHLD", "true"]).ok) lacking.push("env --ignore-signal");
  return required(
    "versions",
    lacking.length === 0,
    lacking.length === 0 ? version : `${version} lacks ${lacking.join(", ")}`,
    "util-linux 2.36 and coreutils 8.31 or newer are needed.",
  );
}

/** Root needs them too: they are what keeps a VM's processes from being anybody on the host. */
function checkUserNamespaces(): Check {
  const { ok, output } = run("unshare", ["--user", "--map-root-user", "--mount", "true"]);
  return required("user namespaces", ok, ok ? "allowed" : output.trim(), whyNoUserNamespaces());
}

function whyNoUserNamespaces(): string {
  if (readProc("/proc/sys/user/max_user_namespaces")?.trim() === "0")
    return "sysctl -w user.max_user_namespaces=15000";
  if (readProc("/proc/sys/kernel/unprivileged_userns_clone")?.trim() === "0") {
    return "sysctl -w kernel.unprivileged_userns_clone=1";
  }
  if (readProc("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")?.trim() === "1") {
    return "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for unshare with `userns,`";
  }
  if (/^Seccomp:\s*2/m.test(readProc("/proc/self/status") ?? "")) {
    return (
      "A seccomp filter forbids them: start the container with --security-opt seccomp=unconfined, " +
      "or with a profile that allows unshare, setns and mount."
    );
  }
  return "Allow this user to create user namespaces.";
}

/** A container runtime that covers parts of /proc keeps everyone inside from mounting a fresh one. */
function checkProcMount(): Check {
  const { ok, output } = run("unshare", [
    "--user",
    "--map-root-user",
    "--pid",
    "--fork",
    "--mount-proc",
    "true",
  ]);
  return required(
    "own procfs",
    ok,
    ok ? "can be mounted" : output.trim(),
    "Parts of this container's /proc are masked: start it with --security-opt systempaths=unconfined " +
      "(Kubernetes: procMount: Unmasked).",
  );
}

function checkChildren(): Check {
  const ok = readProc(`/proc/${process.pid}/task/${process.pid}/children`) !== undefined;
  const detail = ok ? "readable" : "not there";
  return required("list of children", ok, detail, "The kernel must be built with CONFIG_PROC_CHILDREN.");
}

function checkLoopback(): Check {
  const tool = findTool("ip") ?? findTool("perl");
  const detail = tool === undefined ? "127.0.0.1 stays down inside" : `brought up with ${tool}`;
  return wanted("loopback", tool !== undefined, detail, "Install iproute2.");
}

function checkNode(): Check {
  const { hasNpm } = findHostNode();
  const detail = `node ${process.version}${hasNpm ? ", npm and npx" : ", no npm on this host"}`;
  return wanted("Node inside", hasNpm, detail, "Install npm beside the server's Node.");
}

function checkCgroups(): Check {
  const { description, create } = cgroupSupport();
  return wanted(
    "cgroups",
    create !== undefined,
    description,
    "Run as root, or as a systemd unit with Delegate=yes.",
  );
}

async function checkBoot(): Promise<Check> {
  const started = performance.now();
  try {
    const factory = new KernelSandboxFactory(vmOptionsSchema.parse({}));
    await (await factory.boot(AbortSignal.timeout(TRIAL_TIMEOUT_MS))).dispose();
    return required("a VM", true, `booted and ended in ${Math.round(performance.now() - started)} ms`, "");
  } catch (error) {
    return required(
      "a VM",
      false,
      error instanceof Error ? error.message : String(error),
      "See the message.",
    );
  }
}

function run(tool: string, args: readonly string[]): { ok: boolean; output: string } {
  const path = findTool(tool);
  if (path === undefined) return { ok: false, output: `${tool} is not there` };
  const { status, error, stdout, stderr } = spawnSync(path, args, {
    encoding: "utf8",
    timeout: TRIAL_TIMEOUT_MS,
    env: { PATH: SYSTEM_PATH },
  });
  return { ok: status === 0, output: error?.message ?? `${stdout}${stderr}` };
}

/** The table that `npm run doctor` prints, and that a server prints which cannot start. */
export function formatDiagnosis({ checks }: Diagnosis): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.flatMap(({ name, ok, detail, fix }) => [
    `  ${ok ? "ok  " : "FAIL"}  ${name.padEnd(width)}  ${detail}`,
    ...(fix === undefined ? [] : [`        ${" ".repeat(width)}  -> ${fix}`]),
  ]);
  return lines.join("\n");
}
