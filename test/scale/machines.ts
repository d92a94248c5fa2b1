import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

/** First parts of the addresses of all machines. Two runs at once need two networks. */
const network = () => `10.199.${process.pid % 200}`;

const END_TIMEOUT_MS = 10_000;

const ip = (...args: string[]) => void execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });

/** A program on a machine. */
export interface Program {
  readonly process: ChildProcess;
  /** Resolves with the exit code, or with the signal that ended the program. */
  readonly exited: Promise<number | string>;
  stderr(): string;
}

/** A machine: a network namespace with an address of its own on a common bridge. */
export interface Machine {
  readonly address: string;
  start(command: readonly string[], env: Record<string, string>, cwd?: string): Program;
  /** Cuts the machine's cable, or plugs it in again. */
  cable(state: "up" | "down"): void;
  /** Makes packets to and from one other machine get lost, or arrive again. */
  path(to: Machine, state: "up" | "down"): void;
  /** Makes packets of this machine for an address get lost, or arrive again. */
  lose(address: string, state: "up" | "down"): void;
}

/** An address in the network of cables that no machine has. */
const NOBODY = "02:00:00:00:00:01";

/** Machines on one network. The host is on it too, with the first address. Needs root and iproute2. */
export class Machines {
  readonly #bridge = `avm${process.pid % 100_000}`;
  readonly #names: string[] = [];
  readonly #programs: Program[] = [];

  constructor() {
    ip("link", "add", this.#bridge, "type", "bridge");
    ip("addr", "add", `${network()}.1/24`, "dev", this.#bridge);
    ip("link", "set", this.#bridge, "up");
  }

  add(): Machine {
    const number = this.#names.length + 2;
    const name = `${this.#bridge}-${number}`;
    const [outer, inner] = [`${this.#bridge}v${number}`, "eth0"];
    const address = `${network()}.${number}`;
    ip("netns", "add", name);
    this.#names.push(name);
    ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name);
    ip("link", "set", outer, "master", this.#bridge, "up");
    for (const [device, state] of [
      ["lo", []],
      [inner, ["addr", "add", `${address}/24`, "dev", inner]],
    ] as const) {
      if (state.length > 0) ip("-n", name, ...state);
      ip("-n", name, "link", "set", device, "up");
    }
    const lose: Machine["lose"] = (to, state) => {
      const lost = state === "down" ? ["replace", to, "lladdr", NOBODY, "nud", "permanent"] : ["del", to];
      ip("-n", name, "neigh", ...lost, "dev", inner);
    };
    return {
      address,
      lose,
      path(to, state) {
        lose(to.address, state);
        to.lose(address, state);
      },
      start: (command, env, cwd) => this.#start(name, command, env, cwd),
      cable: (state) => ip("link", "set", outer, state),
    };
  }

  #start(name: string, command: readonly string[], env: Record<string, string>, cwd?: string): Program {
    const child = spawn("nsenter", [`--net=/run/netns/${name}`, "--", ...command], {
      env: { PATH: process.env.PATH ?? "", ...env },
      ...(cwd !== undefined && { cwd }),
      stdio: ["ignore", "ignore", "pipe"],
    });
    let stderr = "";
    child.stderr.on("data", (data) => {
      stderr += data;
    });
    const exited = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
    const program = { process: child, exited, stderr: () => stderr };
    this.#programs.push(program);
    return program;
  }

  /** Ends every program, and removes the machines. */
  async end(): Promise<void> {
    for (const { process } of this.#programs) process.kill("SIGKILL");
    await Promise.race([
      Promise.all(this.#programs.map(({ exited }) => exited)),
      delay(END_TIMEOUT_MS, undefined, { ref: false }),
    ]);
    for (const name of this.#names) ip("netns", "del", name);
    ip("link", "del", this.#bridge);
  }
}
