import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });
const agent = client.vm.getOrCreate("my-agent");
await agent.writeFile("/home/agentos/server.js", "setInterval(() => {}, 1000);");
const { pid } = await agent.spawn("node", ["/home/agentos/server.js"]);
// List all processes tracked by the VM
const processes = await agent.listProcesses();
for (const p of processes) {
  if (p.pid === pid) console.log(p.command, p.args.join(" "), p.running ? "running" : "exited");
}
// Inspect a specific process by pid
const info = await agent.getProcess(pid);
console.log(info.running, info.exitCode);
// Graceful stop (SIGTERM)
await agent.stopProcess(pid);
console.log("exit code:", await agent.waitProcess(pid));
// Force kill (SIGKILL); does nothing here, because the process has ended
await agent.killProcess(pid);
console.log("reason:", (await agent.getProcess(pid)).reason);
