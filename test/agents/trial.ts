import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { VmEvents } from "../../src/api/events.ts";
import type { PermissionReply, PromptResult, SessionRecord } from "../../src/api/methods/session-types.ts";
import { createClient } from "../../src/client/index.ts";
import type { VmConnection } from "../../src/client/types.ts";
import { freePort } from "../support/free-port.ts";
import type { ModelServer } from "../support/model-server.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { MODEL_HOST, OWN_HOST, SERVER_TOKEN } from "./model-host.ts";
import type { Profile } from "./profiles.ts";
import type { SecureFront } from "./secure-front.ts";
import type { registry } from "./server.ts";

const SERVER = new URL("./server.ts", import.meta.url).pathname;
const MCP_SERVER = readFileSync(new URL("./mcp-server.ts", import.meta.url));

export interface TrialSettings {
  agent: string;
  /** Folder `node_modules` with the agent's packages. */
  from: string;
  profile: Profile;
  models: ModelServer;
  /** TLS front of the model server. */
  secure: SecureFront;
}

/** One agent in a VM of its own server, and a client that is connected to the VM. */
export class Trial {
  readonly settings: TrialSettings;
  sessionId = "";
  /** Answer to the agent's permission requests. */
  reply: PermissionReply = "reject";
  /** Permission requests of the last prompt. */
  asked: VmEvents["permissionRequest"][] = [];
  events: VmEvents["sessionEvent"][] = [];
  crashes: VmEvents["agentCrashed"][] = [];
  #port = 0;
  #dataDir: string | undefined;
  #server: ServerProcess | undefined;
  #client: ReturnType<typeof createClient<typeof registry>> | undefined;
  #connection: VmConnection | undefined;

  constructor(settings: TrialSettings) {
    this.settings = settings;
  }

  get client(): ReturnType<typeof createClient<typeof registry>> {
    if (this.#client === undefined) throw new Error("The trial's server is not running. Call start() first.");
    return this.#client;
  }

  get vm(): VmConnection {
    if (this.#connection === undefined)
      throw new Error("The trial's server is not running. Call start() first.");
    return this.#connection;
  }

  /** Starts the server. A later call starts it on the data of the first one. */
  async start(): Promise<void> {
    const { agent, from, models, secure } = this.settings;
    if (this.#port === 0) this.#port = await freePort();
    this.#server = await startServerProcess({
      program: SERVER,
      port: this.#port,
      ...(this.#dataDir !== undefined && { dataDir: this.#dataDir }),
      env: {
        AGENT: agent,
        AGENT_FROM: from,
        MODEL_PORT: String(models.port),
        MODEL_TLS_PORT: String(secure.port),
        LOG_LEVEL: "error",
      },
    });
    if (this.#server.process.exitCode !== null) throw new Error(`The server ended: ${this.#server.stderr()}`);
    this.#dataDir = this.#server.dataDir;
    this.#client = createClient<typeof registry>({
      endpoint: this.#server.endpoint,
      token: SERVER_TOKEN,
    });
    this.#connection = this.#client.vm.getOrCreate(`trial-${agent}`).connect();
    this.#connection.on("sessionEvent", (event) => this.events.push(event));
    this.#connection.on("agentCrashed", (event) => this.crashes.push(event));
    this.#connection.on("permissionRequest", (event) => {
      this.asked.push(event);
      const { sessionId, request } = event;
      void this.vm.respondPermission(sessionId, request.permissionId, this.reply);
    });
  }

  /** Ends the server with SIGKILL to simulate a crash. */
  async kill(): Promise<void> {
    this.#server?.process.kill("SIGKILL");
    await this.#server?.exited;
    await this.#client?.dispose();
  }

  async stop(): Promise<void> {
    await this.#client?.dispose();
    const server = this.#server;
    if (server === undefined) return;
    await server.stop("SIGTERM");
    await rm(server.dataDir, { recursive: true, force: true });
  }

  async createSession(): Promise<SessionRecord> {
    const { agent, profile, models } = this.settings;
    const model = `http://${MODEL_HOST}:${models.port}`;
    await this.#configure(model);
    await this.vm.writeFile("/workspace/mcp-server.ts", MCP_SERVER);
    await this.client.vm.getOrCreate("box").mkdir("/workspace", { recursive: true });
    const { token } = await this.client.tokens.create({ vms: "box", may: ["exec"] });
    const record = await this.vm.createSession(agent, {
      env: profile.env(model),
      additionalInstructions: "The word is INSTRUCTION-blue.",
      ...(profile.mcp && {
        mcpServers: [
          { name: "voice", command: "node", args: ["/workspace/mcp-server.ts"] },
          {
            name: "box",
            url: `http://${OWN_HOST}:${this.#port}/mcp?vm=box`,
            headers: { authorization: `Bearer ${token}` },
          },
        ],
      }),
    });
    this.sessionId = record.sessionId;
    return record;
  }

  /** Prompts the agent in a new session whose model is behind TLS. @returns the text of the answer */
  async promptSecurely(text: string): Promise<string> {
    const { agent, profile, models, secure } = this.settings;
    const model = `https://${MODEL_HOST}:${secure.port}`;
    const authority = "/workspace/authority.pem";
    await this.#configure(model);
    await this.vm.writeFile(authority, secure.authority);
    const env = { ...profile.env(model), NODE_EXTRA_CA_CERTS: authority, SSL_CERT_FILE: authority };
    const { sessionId } = await this.vm.createSession(agent, { env });
    const answer = await this.vm.prompt(sessionId, text);
    await this.vm.destroySession(sessionId);
    await this.#configure(`http://${MODEL_HOST}:${models.port}`);
    return answer.text;
  }

  async #configure(model: string): Promise<void> {
    const files = Object.entries(this.settings.profile.files?.(model) ?? {});
    await this.vm.writeFiles(files.map(([path, content]) => ({ path, content })));
  }

  async prompt(text: string, reply: PermissionReply = "reject"): Promise<PromptResult> {
    this.reply = reply;
    this.asked = [];
    return await this.vm.prompt(this.sessionId, text);
  }

  async read(path: string): Promise<string | undefined> {
    if (!(await this.vm.exists(path))) return undefined;
    return new TextDecoder().decode(await this.vm.readFile(path));
  }

  /** Resident memory of all processes of the VM, in MiB. */
  async residentMib(): Promise<number> {
    const processes = await this.vm.allProcesses();
    return Math.round(processes.reduce((sum, { rss }) => sum + rss, 0) / 2 ** 20);
  }
}
