// Records a shell, and writes a file that `asciinema play` plays.
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "agent-vm/client";
import type { registry } from "agent-vm/server";

const client = createClient<typeof registry>({ endpoint: process.env.ENDPOINT ?? "http://localhost:6420" });
const agent = client.vm.getOrCreate("my-recording");

const { shellId } = await agent.openShell({
  command: "sh",
  args: ["-c", "for i in 1 2 3; do echo $i; sleep 0.2; done"],
  record: true,
});
await agent.waitShell(shellId);

const recording = (await agent.listRecordings()).at(-1);
if (recording === undefined) throw new Error("The shell was not recorded");
let cast = "";
for (let after = -1, end = false; !end; ) {
  const part = await agent.readRecording(recording.recordingId, { after });
  cast += part.data;
  [after, end] = [part.last, part.end];
}
writeFileSync(join(tmpdir(), "agent-vm-example.cast"), cast);

const [header, ...events] = cast.trimEnd().split("\n");
const { version, width, height } = JSON.parse(header ?? "");
const output = events.map((line) => JSON.parse(line)[2]).join("");
console.log(`asciicast v${version}, ${width} x ${height}: ${JSON.stringify(output)}`);
await agent.deleteRecording(recording.recordingId);
await client.dispose();
