// @module-tag attack
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../../../../..");
/** keyctl(2) and add_key(2). */
const [KEYCTL, ADD_KEY] = process.arch === "arm64" ? [219, 217] : [250, 248];

/** Starts the server in a session keyring of its own that holds a key, as pam_keyinit and systemd do. */
const LOGIN = `
my ($type, $name, $text, $nothing) = ("user", "of-the-host", "secret", 0);
syscall(${KEYCTL}, 1, 0) > 0 or die "no session keyring: $!";
my $key = syscall(${ADD_KEY}, $type, $name, $text, length $text, -3);
# Everybody may do everything with it.
$key > 0 && syscall(${KEYCTL}, 5, $key, 0x3f3f3f3f) == 0 or die "no key: $!";
exec @ARGV`;

/** Prints the keys that this process finds, and adds its own. */
const LOOK = `
my ($type, $mine) = ("user", "of-a-vm");
for my $wanted ("of-the-host", "of-a-vm") {
  my $name = $wanted;
  print "$name " if syscall(${KEYCTL}, 10, -3, $type, $name, 0) > 0;
}
syscall(${ADD_KEY}, $type, $mine, $mine, length $mine, -3);
my $text = "\\0" x 200;
syscall(${KEYCTL}, 6, -3, $text, length $text);
print $text =~ /;([^;\\0]*)\\0/ ? "in $1" : "nowhere"`;

const SERVER = `
import { vmOptionsSchema } from "./src/runtime/options.ts";
import { assembleVm } from "./src/runtime/vm.ts";
import { openShared } from "./src/runtime/vm-shared.ts";
const shared = openShared(vmOptionsSchema.parse(JSON.parse(process.env.OPTIONS)));
const start = (emit) => assembleVm(shared, { emit, keepAwake() {} });
const screen = [];
const vms = [start((name, payload) => { if (name === "shellData") screen.push(payload.data); }), start(() => {})];
const look = ["-e", process.env.LOOK];
const found = [];
for (const vm of vms) found.push((await vm.execArgv("perl", look)).stdout);
const { shellId } = await vms[0].openShell({ command: "perl", args: look });
await vms[0].waitShell(shellId);
found.push(Buffer.concat(screen).toString().trim());
console.log(JSON.stringify(found));
for (const vm of vms) await vm.dispose("destroy");
`;

test("keeps keys of the server's session out of VMs, and VMs share none", () => {
  const server = [process.execPath, "--input-type=module-typescript", "-e", SERVER];
  const { stdout, stderr } = spawnSync("perl", ["-e", LOGIN, ...server], {
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, LOOK, OPTIONS: JSON.stringify({ seccomp: "none" }) },
  });
  expect(stderr).toBe("");
  expect(JSON.parse(stdout)).toEqual(["in _ses", "in _ses", "in _ses"]);
});
