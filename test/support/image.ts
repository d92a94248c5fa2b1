import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ENGINE_PROGRAM } from "./engine.ts";

export const ROOT = join(import.meta.dirname, "../..");
export const PODMAN = ["podman", "--runtime", "runc"] as const;

const NAME = `localhost/agent-vm-test-${process.pid}`;
export const IMAGE = NAME;
export const ENGINE_IMAGE = `${NAME}-engine`;
export const SYSTEMD_IMAGE = `${NAME}-systemd`;
const BASE = `${NAME}-base`;

/** Programs without which no image can be built here. */
export const BUILDERS = ["podman", "runc", "mmdebstrap"];

export function podman(...args: string[]): string {
  const [program, ...options] = PODMAN;
  return execFileSync(program, [...options, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

function build(tag: string, folder: string, ...options: string[]): void {
  podman("build", "--layers=false", "--network", "host", ...options, "--tag", tag, folder);
}

/** Builds an image from the lines of a Dockerfile, with links to files of the host in its context. */
function buildOf(tag: string, folder: string, lines: readonly string[]): void {
  writeFileSync(join(folder, "Dockerfile"), `${lines.join("\n")}\n`);
  build(tag, folder);
}

/** Builds the Dockerfile's image without a registry, on Debian by mmdebstrap with this Node and the host's npm. */
export function buildImage(folder: string): void {
  const npm = join(dirname(realpathSync(execFileSync("which", ["npm"], { encoding: "utf8" }).trim())), "..");
  const authorities = "/etc/ssl/certs/ca-certificates.crt";
  const base = join(folder, "base");
  mkdirSync(base, { recursive: true });
  execFileSync("mmdebstrap", ["--variant=apt", "bookworm", join(base, "debian.tar")], { stdio: "pipe" });
  cpSync(realpathSync(process.execPath), join(base, "node"));
  cpSync(npm, join(base, "npm"), { recursive: true });
  if (existsSync(authorities)) cpSync(authorities, join(base, "authorities"));
  else writeFileSync(join(base, "authorities"), "");
  buildOf(BASE, base, [
    "FROM scratch",
    "ADD debian.tar /",
    "COPY node /usr/local/bin/node",
    "COPY npm /usr/local/lib/node_modules/npm",
    "COPY authorities /etc/ssl/authorities",
    "ENV NODE_EXTRA_CA_CERTS=/etc/ssl/authorities",
    "RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm",
  ]);
  build(IMAGE, ROOT, "--build-arg", `NODE_IMAGE=${BASE}`);
}

/** Builds a stand-in for the engine's image: its program, with curl for the health check. */
export function buildEngineImage(folder: string): void {
  const context = join(folder, "engine");
  mkdirSync(context);
  cpSync(realpathSync(ENGINE_PROGRAM as string), join(context, "rivet-engine"));
  buildOf(ENGINE_IMAGE, context, [
    `FROM ${IMAGE}`,
    "USER 0",
    "WORKDIR /",
    "COPY rivet-engine /usr/bin/rivet-engine",
    'ENTRYPOINT ["/usr/bin/rivet-engine"]',
    'CMD ["start"]',
  ]);
}

/** Builds a Debian that boots, with package, engine and units in the places that docs/operations.md and docs/scale.md name. */
export function buildSystemdImage(folder: string): void {
  const context = join(folder, "systemd");
  mkdirSync(context);
  cpSync(join(ROOT, "deploy"), join(context, "deploy"), { recursive: true });
  const installed = "/opt/agent-vm/node_modules/agent-vm";
  buildOf(SYSTEMD_IMAGE, context, [
    `FROM ${BASE}`,
    "RUN apt-get update && apt-get install -y --no-install-recommends systemd mount",
    "RUN ln -s /usr/local/bin/node /usr/bin/node",
    `COPY --from=${ENGINE_IMAGE} /usr/bin/rivet-engine /opt/rivet-engine/node_modules/@rivetkit/engine-cli-linux-x64-musl/`,
    `COPY --from=${IMAGE} /opt/agent-vm /opt/agent-vm`,
    `COPY deploy ${installed}/deploy`,
    "RUN useradd --system --home-dir /var/lib/agent-vm --shell /usr/sbin/nologin agent-vm",
    `RUN cp ${installed}/deploy/systemd/* /etc/systemd/system/`,
    // The kernel's settings are the host's.
    "RUN systemctl mask systemd-sysctl.service",
    'ENTRYPOINT ["/lib/systemd/systemd"]',
  ]);
}

export function removeImages(): void {
  const [program, ...options] = PODMAN;
  spawnSync(program, [...options, "rmi", "--force", SYSTEMD_IMAGE, ENGINE_IMAGE, IMAGE, BASE]);
}
