// A service in front of coding agents: a VM for each user, answers to permission requests, the list of changes, and undo.
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { VmAccessor, VmConnection } from "agent-vm/client";

interface Task {
  conn: VmConnection;
  sessionId: string;
  snapshotId: string;
  state: "running" | "waiting" | "done" | "failed";
  text: string;
  permission?: { id: string; description: string };
  /** Resolves with the next change of the state. */
  changed: PromiseWithResolvers<void>;
}

/** Starts the service on loopback. @param agent agent that works on the tasks */
export async function startService(vms: VmAccessor, agent: string) {
  const tasks = new Map<string, Task>();
  const show = ({ state, text, permission }: Task) => ({ state, text, permission });

  const routes: Record<string, (task: Task, body: Record<string, unknown>) => Promise<unknown>> = {
    async "GET "(task) {
      if (task.state === "running") await task.changed.promise;
      return show(task);
    },
    async "POST /answer"(task, { reply }) {
      const { permission } = task;
      if (permission === undefined) throw new Error("The task asks nothing");
      set(task, { state: "running", permission: undefined });
      await task.conn.respondPermission(task.sessionId, permission.id, reply === "once" ? "once" : "reject");
      return show(task);
    },
    "GET /changes": async ({ conn, snapshotId }) =>
      (await conn.diff(snapshotId)).map(({ change, path }) => ({ change, path })),
    async "POST /undo"({ conn, snapshotId }) {
      const changed = (await conn.diff(snapshotId)).map(({ path }) => path);
      return await conn.undo(changed, snapshotId);
    },
  };

  const answer = async (request: IncomingMessage) => {
    const [, id = "", rest = ""] = /^\/tasks\/([\w-]+)(.*)$/.exec(request.url ?? "") ?? [];
    const body = request.method === "POST" ? await bodyOf(request) : {};
    if (request.method === "POST" && request.url === "/tasks") {
      const { user, prompt } = body;
      if (typeof user !== "string" || typeof prompt !== "string") throw new Error("Send { user, prompt }");
      const task = await begin(vms.getOrCreate(["coder", user]).connect(), agent, prompt);
      const name = crypto.randomUUID();
      tasks.set(name, task);
      return { id: name };
    }
    const task = tasks.get(id);
    const route = routes[`${request.method} ${rest}`];
    if (task === undefined || route === undefined) throw new Error("There is no such task");
    return await route(task, body);
  };

  const server = createServer(async (request, response) => {
    const reply = await answer(request).then(
      (value) => [200, value],
      (error: Error) => [400, { error: error.message }],
    );
    response.writeHead(reply[0] as number, { "content-type": "application/json" });
    response.end(JSON.stringify(reply[1]));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close();
      await Promise.all([...tasks.values()].map(({ conn }) => conn.dispose()));
    },
  };
}

/** Takes a snapshot, which undo goes back to, and gives the prompt to an agent. */
async function begin(conn: VmConnection, agent: string, prompt: string): Promise<Task> {
  const { id: snapshotId } = await conn.createSnapshot();
  const { sessionId } = await conn.createSession(agent);
  const changed = Promise.withResolvers<void>();
  const task: Task = { conn, sessionId, snapshotId, state: "running", text: "", changed };
  conn.on("sessionEvent", ({ sessionId: of, event }) => {
    if (of !== sessionId || event.method !== "session/update") return;
    const { update } = event.params;
    if (update.sessionUpdate === "agent_message_chunk" && update.content.type === "text")
      task.text += update.content.text;
  });
  conn.on("permissionRequest", ({ sessionId: of, request }) => {
    if (of !== sessionId) return;
    const { permissionId: id, description = "" } = request;
    set(task, { state: "waiting", permission: { id, description } });
  });
  const ended = conn.prompt(sessionId, prompt);
  ended.then(
    ({ response }) => set(task, { state: response.error ? "failed" : "done" }),
    () => set(task, { state: "failed" }),
  );
  return task;
}

function set(task: Task, change: Partial<Task>): void {
  Object.assign(task, change);
  task.changed.resolve();
  task.changed = Promise.withResolvers();
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) {
    text += piece;
    if (text.length > 1_000_000) throw new Error("The request is too large");
  }
  return text === "" ? {} : JSON.parse(text);
}
