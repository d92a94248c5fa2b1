import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createClient } from "../../src/client/index.ts";
import type { VmClient } from "../../src/client/types.ts";
import type { registry } from "../../src/server.ts";
import { programEnv } from "../support/program-env.ts";
import { AGENT_VM_PROGRAM } from "../support/server-process.ts";
import { type Machine, Machines, type Program } from "./machines.ts";

const TOKEN = "token of the servers";
const ADMIN = "admin-token-of-the-engine";
const PORT = 6420;
/** Port of the engine, as it is by default. */
const GUARD = 6420;

/** A server, on a machine of its own. */
export interface Server {
  readonly name: string;
  readonly machine: Machine;
  readonly endpoint: string;
  program: Program;
}

/** An engine, two servers and a front, each on a machine of its own, configured as in deploy/. */
export class Fleet {
  readonly machines = new Machines();
  readonly servers: Server[] = [];
  readonly #folder: string;
  readonly engineMachine: Machine;
  readonly #engineProgram: string;
  #engine: Program | undefined;
  front: Server | undefined;

  /** @param folder an empty folder for the data of all machines */
  constructor(engineProgram: string, folder: string) {
    this.#engineProgram = engineProgram;
    this.#folder = folder;
    this.engineMachine = this.machines.add();
  }

  async start(): Promise<void> {
    await this.startEngine();
    for (const name of ["server-1", "server-2"]) this.servers.push(this.#server(name, this.machines.add()));
    this.front = this.#server("front", this.machines.add());
    await Promise.all([...this.servers, this.front].map((server) => this.#ready(server)));
    // The engine learns of the servers a moment later.
    await using client = this.client();
    while (
      !(await client.vm
        .getOrCreate("first")
        .exists("/")
        .catch(() => false))
    )
      await delay(200);
  }

  /** Starts the engine with its data. */
  async startEngine(): Promise<void> {
    const folder = join(this.#folder, "engine");
    mkdirSync(folder, { recursive: true });
    const deployed = readFileSync(join(import.meta.dirname, "../../deploy/fleet/config.json"), "utf8");
    const { address } = this.engineMachine;
    const config = join(folder, "config.json");
    // Here all machines share a processor, by whose load the engine would refuse work.
    const busy = {
      worker_load_shedding_curve: [
        [100_000, 1_000],
        [200_000, 999],
      ],
    };
    writeFileSync(config, JSON.stringify({ ...JSON.parse(deployed), runtime: busy }));
    this.#engine = this.engineMachine.start(
      [this.#engineProgram, "--config", config, "start"],
      {
        HOME: folder,
        RIVET__AUTH__ADMIN_TOKEN: ADMIN,
        RIVET__GUARD__HOST: address,
        RIVET__GUARD__PORT: String(GUARD),
        RIVET__FILE_SYSTEM__PATH: join(folder, "db"),
      },
      folder,
    );
    await answers(`http://${address}:${GUARD}/health`);
  }

  async killEngine(): Promise<void> {
    this.#engine?.process.kill("SIGKILL");
    await this.#engine?.exited;
  }

  /** Starts a server again that has ended. */
  async restart(server: Server): Promise<void> {
    server.program = this.#server(server.name, server.machine).program;
    await this.#ready(server);
  }

  client(): VmClient<typeof registry> {
    return createClient<typeof registry>({ endpoint: this.front?.endpoint, token: TOKEN });
  }

  /** Variables of a command line that talks to a server. */
  administration(server: Server): Record<string, string> {
    return { AGENT_VM_ENDPOINT: server.endpoint, AGENT_VM_TOKEN: TOKEN, HOME: this.#folder };
  }

  #server(name: string, machine: Machine): Server {
    const { address } = machine;
    const isFront = name === "front";
    const data = join(this.#folder, name);
    const env = {
      NODE_COMPILE_CACHE: join(this.#folder, "compiled"),
      ...programEnv(),
      NODE_ENV: "production",
      HOME: this.#folder,
      HOST: address,
      PORT: String(PORT),
      AGENT_VM_DATA: data,
      AGENT_VM_POOL: "0",
      AGENT_VM_TOKEN: TOKEN,
      AGENT_VM_SECRET: "a secret that signs the tokens of all servers",
      AGENT_VM_PEER_SECRET: "a secret of all servers behind one engine",
      RIVET_ENGINE: `http://${this.engineMachine.address}:${GUARD}`,
      RIVET_TOKEN: ADMIN,
      RIVET_RUNNER_VERSION: "1",
      ...(!isFront && { AGENT_VM_ADVERTISE: `http://${address}:${PORT + 1}` }),
    };
    const command = [process.execPath, AGENT_VM_PROGRAM, "serve", ...(isFront ? ["--no-vms"] : [])];
    return { name, machine, endpoint: `http://${address}:${PORT}`, program: machine.start(command, env) };
  }

  async #ready({ endpoint, name, program }: Server): Promise<void> {
    const ended = program.exited.then((status) => {
      throw new Error(`${name} ended with ${status}: ${program.stderr()}`);
    });
    await Promise.race([answers(`${endpoint}/health/ready`), ended]);
    ended.catch(() => undefined);
  }
}

/** Waits until a URL answers with 200. */
async function answers(url: string): Promise<void> {
  for (;;) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok) return;
    await delay(100);
  }
}
