import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });
const agent = client.vm.getOrCreate("my-agent");
const { pid } = await agent.spawn("cat", []);
// Write to stdin
await agent.writeProcessStdin(pid, "hello from stdin\n");
// Close stdin when done
await agent.closeProcessStdin(pid);
// Wait for the process to exit
const exitCode = await agent.waitProcess(pid);
console.log("exit code:", exitCode);
// Read its output after the end
const { chunks } = await agent.readProcessOutput(pid);
console.log("output:", chunks.map(({ data }) => new TextDecoder().decode(data)).join(""));
