import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { VM_USER } from "../../vm-layout.ts";

const NO_PACKAGES =
  "packages cannot be installed on this machine, whose /usr is the host's and read-only. Install below your home instead: pip, npm, cargo, go, or a download into ~/.local.";
const NO_ROOT = `this machine has one user, ${VM_USER}, and no root. Run the command without it: /etc, /opt, /var and /workspace are yours.`;
const NO_SERVICES =
  "this machine has no service manager. Start the program itself, in the background as: setsid nohup PROGRAM > log 2>&1 &";
const NO_CONTAINERS =
  "containers cannot run on this machine. Start the program itself: the machine is a container of your own.";
const NO_CRON = "this machine has no cron daemon. Ask your host for a job of its scheduler.";

/** Programs that cannot work in a VM, and a line that says what to do instead. */
const ALWAYS: Record<string, string> = {
  "apt-get": NO_PACKAGES,
  apt: NO_PACKAGES,
  sudo: NO_ROOT,
  su: NO_ROOT,
  systemctl: NO_SERVICES,
  service: NO_SERVICES,
  docker: NO_CONTAINERS,
};

/** Such programs if the host has them: scripts look for some of these names to tell the distribution. */
const IF_PRESENT: Record<string, string> = {
  ...Object.fromEntries(
    ["aptitude", "dnf", "yum", "microdnf", "zypper", "pacman", "apk", "snap"].map((name) => [
      name,
      NO_PACKAGES,
    ]),
  ),
  doas: NO_ROOT,
  pkexec: NO_ROOT,
  podman: NO_CONTAINERS,
  crontab: NO_CRON,
};

/**
 * Writes files of the server into the folder of the host's configuration: programs that say what to do instead, and
 * parts of /etc. VMs that are older than such a file see it too, unlike files of the base tree.
 *
 * @param timezone of the VMs, IANA name. @default UTC
 */
export function makeHostFiles(folder: string, timezone: string | undefined): void {
  const bin = join(folder, "bin");
  mkdirSync(bin);
  chmodSync(bin, 0o755);
  const isPresent = (name: string) => ["/usr/bin", "/usr/sbin"].some((at) => existsSync(join(at, name)));
  const programs = {
    ...Object.fromEntries(Object.entries(IF_PRESENT).filter(([name]) => isPresent(name))),
    ...ALWAYS,
  };
  for (const [name, text] of Object.entries(programs)) {
    writeFileSync(
      join(bin, name),
      `#!/bin/sh\nprintf '%s\\n' '${name}: ${text.replaceAll("'", "'\\''")}' >&2\nexit 1\n`,
    );
    chmodSync(join(bin, name), 0o755);
  }
  const files = {
    // Shared repositories belong to another user. A VM has one user, whom no other can attack through a repository.
    gitconfig: "[safe]\n\tdirectory = *\n",
    timezone: `${timezone ?? "Etc/UTC"}\n`,
  };
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, "etc", name), text);
    chmodSync(join(folder, "etc", name), 0o644);
  }
  symlinkSync(`/usr/share/zoneinfo/${timezone ?? "UTC"}`, join(folder, "etc/localtime"));
}
