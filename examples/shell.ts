import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });
const agent = client.vm.getOrCreate("my-agent");
const conn = agent.connect();

// Subscribe to shell output
let screen = "";
const listed = new Promise<void>((resolve) => {
  conn.on("shellData", (data) => {
    screen += new TextDecoder().decode(data.data);
    if (screen.includes("done in 120")) resolve();
  });
});

// Open a shell
const { shellId } = await conn.openShell();
// Resize the terminal
await conn.resizeShell(shellId, 120, 40);
// Write commands to the shell
await conn.writeShell(shellId, "tty; echo done in $(tput cols) columns\n");
await listed;
console.log(screen.includes("/dev/pts/") ? "a terminal of the VM's own" : screen);

// Close the shell when done
await conn.closeShell(shellId);
console.log("closed:", (await conn.listShells()).at(-1)?.running === false);
await conn.dispose();
