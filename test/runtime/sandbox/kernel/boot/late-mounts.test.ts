// @module-tag attack
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { helperCommand, helperSource } from "../../../../../src/runtime/sandbox/kernel/helpers/programs.ts";
import { findTool } from "../../../../../src/runtime/sandbox/kernel/tools.ts";
import { quote } from "../../../../../src/runtime/sandbox/posix.ts";
import { isRoot } from "../../../../support/host.ts";

const ROOT = join(import.meta.dirname, "../../../../..");

/** Runs a command in a mount namespace that the host does not see. */
function apart(...command: string[]) {
  const flags = isRoot ? ["--mount"] : ["--user", "--map-root-user", "--mount"];
  const { stdout, stderr, status } = spawnSync("unshare", [...flags, "--", ...command], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return { stdout, stderr, status };
}

const SERVER = `
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { vmOptionsSchema } from "./src/runtime/options.ts";
import { assembleVm } from "./src/runtime/vm.ts";
import { openShared } from "./src/runtime/vm-shared.ts";
const shared = openShared(vmOptionsSchema.parse({ software: [{ hostPath: "/var/lib", path: "/opt/shared" }] }));
const start = () => assembleVm(shared, { emit() {}, keepAwake() {} });
const first = start();
await first.exec("true");
const LATE = ["/usr/local/src", "/usr/local/src/a b", "/var/lib/misc"];
for (const path of LATE) {
  execFileSync("mkdir", ["-p", path]);
  execFileSync("mount", ["-t", "tmpfs", "-o", "mode=1777", "late", path]);
}
const second = start();
const inside = ["/usr/local/src", "/usr/local/src/a b", "/opt/shared/misc"];
const { stdout } = await second.exec(inside.map((path) => "echo x > '" + path + "/f'").join("; ") + "; cat /proc/self/mountinfo");
const flags = stdout.split("\\n").filter((line) => inside.includes(line.split(" ")[4]?.replace("\\\\040", " "))).map((line) => line.split(" ")[5]);
const written = LATE.map((path) => { try { return readFileSync(path + "/f", "utf8"); } catch { return ""; } });
console.log(JSON.stringify({ flags, written }));
await first.dispose("destroy");
await second.dispose("destroy");
`;

test.runIf(isRoot)("seals what the host mounts below shared folders after the first boot", () => {
  const { stdout, stderr } = apart(process.execPath, "--input-type=module-typescript", "-e", SERVER);
  expect(stderr).toBe("");
  expect(JSON.parse(stdout)).toEqual({
    flags: [1, 2, 3].map(() => "ro,nosuid,nodev,relatime"),
    written: ["", "", ""],
  });
});

/** A shared folder with mounts of every kind below it: with a blank and a line break, noexec, and sealed. */
const MOUNTS = `set -e
mount -t tmpfs top /mnt; cd /mnt; mkdir shared; mount -t tmpfs shared shared
for name in "a b" plain sealed "line
"; do mkdir "shared/$name"; mount -t tmpfs below "shared/$name"; done
mount -o remount,bind,noexec shared/plain; mount -o remount,bind,ro,nosuid,nodev shared/sealed
mkdir shared/plain/deep; mount -t tmpfs deep shared/plain/deep; mount --make-rprivate /
mkdir proc dev old; mount --rbind /proc proc; mount --rbind /dev dev; for name in usr bin lib lib64 sbin; do
[ ! -e /$name ] || { mkdir $name; mount --rbind /$name $name; mount -o remount,bind,ro,nosuid,nodev $name; }; done
cd /mnt; mount --make-rprivate /; exec unshare --root=/mnt --wd=/ sh -ec "$1"`;

/** Seals a shared folder, and lists the options of all mounts in it. */
function sealed(hide: string, targets: readonly string[], source = helperSource("seal")): string[] {
  const program = `${source}\nseal(@ARGV);`;
  const seal = helperCommand(findTool("perl") as string, program, targets)
    .map(quote)
    .join(" ");
  const script = [hide, seal, "cat /proc/self/mountinfo"].join("\n");
  const { stdout, stderr } = apart("sh", "-c", MOUNTS, "sh", script);
  expect(stderr.replace(/^mount: .*\n( .*\n)*/gm, "")).toBe("");
  return stdout
    .split("\n")
    .filter((line) => / \/shared/.test(line))
    .map((line) => line.split(" ").slice(4, 6).join(" "));
}

const ALL_SEALED = [
  "/shared ro,nosuid,nodev,relatime",
  "/shared/a\\040b ro,nosuid,nodev,relatime",
  "/shared/line\\012 ro,nosuid,nodev,relatime",
  "/shared/plain ro,nosuid,nodev,noexec,relatime",
  "/shared/plain/deep ro,nosuid,nodev,relatime",
  "/shared/sealed ro,nosuid,nodev,relatime",
];

test("seals a folder with all mounts below it, also hidden mounts", () => {
  const hide = "mount -n -t tmpfs over /shared/plain";
  const over = "/shared/plain ro,nosuid,nodev,relatime";
  expect(sealed(hide, ["/shared", "/missing"]).sort()).toEqual([...ALL_SEALED, over].sort());
});

test("seals mount by mount on a kernel without mount_setattr(2)", () => {
  const source = helperSource("seal").replaceAll(/mount_setattr => \d+/g, "mount_setattr => 9999");
  expect(sealed("", ["/shared"], source).sort()).toEqual([...ALL_SEALED].sort());
});
