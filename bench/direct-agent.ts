import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { createVm } from "../src/index.ts";
import { SCRIPTED, withScripted } from "../test/support/scripted.ts";

const outputs = new Map<number, PassThrough>();
const vm = await createVm(withScripted, {
  emit: (name, payload) => {
    if (name === "processOutput" && "stream" in payload && payload.stream === "stdout") {
      outputs.get(payload.pid)?.write(payload.data);
    }
  },
});

/** The scripted agent in a VM, driven by spawn and its stdio without a session. */
export class DirectAgent {
  readonly pid: number;
  readonly #lines: AsyncIterator<string>;
  #lastId = 0;
  #sessionId = "";

  private constructor(pid: number, output: PassThrough) {
    this.pid = pid;
    this.#lines = createInterface(output)[Symbol.asyncIterator]();
  }

  static async open(): Promise<DirectAgent> {
    const { pid } = await vm.spawn(SCRIPTED.command, SCRIPTED.args, { cwd: "/workspace" });
    const output = new PassThrough();
    outputs.set(pid, output);
    const agent = new DirectAgent(pid, output);
    await agent.#request("initialize", { protocolVersion: 1, clientCapabilities: {} });
    const session = await agent.#request("session/new", { cwd: "/workspace", mcpServers: [] });
    agent.#sessionId = session.sessionId ?? "";
    return agent;
  }

  /** Ends the VM of all direct agents. */
  static async stop(): Promise<void> {
    await vm.dispose("destroy");
  }

  prompt(text: string): Promise<unknown> {
    return this.#request("session/prompt", { sessionId: this.#sessionId, prompt: [{ type: "text", text }] });
  }

  async end(): Promise<void> {
    await vm.killProcess(this.pid);
    await vm.waitProcess(this.pid);
  }

  async #request(method: string, params: object): Promise<{ sessionId?: string }> {
    const id = ++this.#lastId;
    await vm.writeProcessStdin(this.pid, `${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
    for (;;) {
      const { value } = await this.#lines.next();
      const message = JSON.parse(value) as { id?: number; result: { sessionId?: string } };
      if (message.id === id) return message.result;
    }
  }
}
