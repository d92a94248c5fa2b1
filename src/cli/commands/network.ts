import type { Command } from "commander";
import { duration, integer, list } from "../values.ts";
import { does, group, serverCommand } from "./command.ts";

const actions = () => import("../actions/network.ts");

/** Adds the commands for the network of a VM. */
export function addNetworkCommands(program: Command): void {
  const preview = group(program, "preview", "open a port of a VM in a browser");
  serverCommand(preview, "open <key>", "make a preview URL, print it and open it", {
    isDefault: true,
    notes:
      "`preview KEY PORT` does this too. The browser opens only on a terminal. BROWSER names another program.",
    examples: [
      ["preview alice 3000", "prints the URL and opens it"],
      ["preview alice 3000 --no-open --expires 10m", "prints a URL that lasts ten minutes"],
    ],
  })
    .argument("<port>", "port in the VM", integer)
    .option("--expires <time>", "life of the URL, up to 24h (default: 1h)", duration)
    .option("--open", "open the browser also without a terminal")
    .option("--no-open", "do not open the browser")
    .action(does(async () => (await actions()).preview));
  serverCommand(preview, "ls <key>", "list the preview URLs of a VM, without their tokens", {
    examples: [["preview ls alice", "lists ids, ports and ends"]],
  }).action(does(async () => (await actions()).listPreviews));
  serverCommand(preview, "rm <key> <preview...>", "close preview URLs", {
    examples: [["preview rm alice 8b1f40d2c67a9e35", "cuts the connections through the URL too"]],
  }).action(does(async () => (await actions()).closePreviews));

  serverCommand(program, "tunnel <key>", "carry connections to this machine's port into a VM", {
    notes:
      "It prints the address and runs until Ctrl-C. Connections that fail are reported on stderr. A connection wakes the VM.",
    examples: [
      ["tunnel alice 5432 --local-port 15432", "then: psql -h 127.0.0.1 -p 15432"],
      ["tunnel alice --socket /run/postgresql/.s.PGSQL.5432", "leads to a Unix socket in the VM"],
    ],
  })
    .argument("[port]", "port in the VM", integer)
    .option("--local-port <port>", "port to listen on (default: a free port)", integer)
    .option("--host <address>", "address to listen on (default: 127.0.0.1)")
    .option("--socket <path>", "Unix socket in the VM, in place of a port")
    .action(does(async () => (await actions()).tunnel));

  const net = group(program, "net", "say what the programs of a VM may reach");
  serverCommand(net, "policy <key> [rules...]", "print the outbound policy of a VM, or replace it", {
    examples: [
      ["net policy alice", "prints the policy"],
      ["net policy alice none", "lets programs reach nothing outside"],
      ["net policy alice '*.example.com' packages.example.com:443 --deny admin.example.com", "allows hosts"],
    ],
  })
    .option("--deny <rule>", "exception from the rules", list)
    .action(does(async () => (await actions()).policy));
  serverCommand(net, "allow <key> <rule...>", "add hosts to the outbound policy", {
    examples: [["net allow alice packages.example.com", "keeps the rules that the policy has"]],
  }).action(does(async () => (await actions()).allow));
  serverCommand(net, "log <key>", "print connections that the policy has denied", {
    examples: [["net log -f alice", "prints the next ones too"]],
  })
    .option("-f, --follow", "print denials until Ctrl-C")
    .action(does(async () => (await actions()).networkLog));
  serverCommand(net, "ports <key>", "list the ports that a VM listens on", {
    examples: [["net ports alice", "lists ports with their processes"]],
  }).action(does(async () => (await actions()).ports));
}
