import type { Env } from "../../api/values.ts";
import { VM_HOME, VM_HOSTNAME, VM_PATH, VM_USER } from "../sandbox/vm-layout.ts";

const PNPM_HOME = `${VM_HOME}/.local/share/pnpm`;
const GEM_HOME = `${VM_HOME}/.local/share/gem`;

/**
 * Folders in which installers put a user's programs, before those of the host: pip, pipx and uv, go, cargo, bun, deno,
 * dotnet, yarn, composer, pnpm, gem. npm installs into the folder of the server's Node.
 */
const USER_FOLDERS = [
  ...[".local/bin", "go/bin", ".cargo/bin", ".bun/bin", ".deno/bin", ".dotnet/tools", ".yarn/bin"].map(
    (folder) => `${VM_HOME}/${folder}`,
  ),
  `${VM_HOME}/.config/composer/vendor/bin`,
  // pnpm 11 and newer link programs into the second folder, older ones into the first.
  PNPM_HOME,
  `${PNPM_HOME}/bin`,
  `${GEM_HOME}/bin`,
];

/** Variables of every command. The host's environment does not reach a VM. */
export const BASE_ENV: Env = {
  HOME: VM_HOME,
  USER: VM_USER,
  LOGNAME: VM_USER,
  SHELL: "/bin/bash",
  PATH: [...USER_FOLDERS, VM_PATH].join(":"),
  LANG: "C.UTF-8",
  HOSTNAME: VM_HOSTNAME,
  PAGER: "cat",
  TMPDIR: "/tmp",
  // pip refuses to install beside a distribution's packages, which it cannot touch here: it installs below ~/.local.
  PIP_BREAK_SYSTEM_PACKAGES: "1",
  PNPM_HOME,
  GEM_HOME,
};
