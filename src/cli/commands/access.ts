import type { Command } from "commander";
import { duration, list } from "../values.ts";
import { does, group, localCommand, serverCommand, withJson } from "./command.ts";

const tokens = () => import("../actions/tokens.ts");
const contexts = () => import("../actions/contexts.ts");

/** Adds the commands for tokens, servers with names, and completion. */
export function addAccessCommands(program: Command): void {
  const token = group(program, "token", "make tokens for single VMs and rights");
  serverCommand(token, "create", "make a token, and print it", {
    examples: [
      ["token create --vm alice --may terminal,files --expires 15m", "for one VM"],
      ["token create --prefix team --may read --expires 7d --label dashboard", "for all VMs of a team"],
    ],
  })
    .option("--vm <key>", "VM that the token reaches", list)
    .option("--prefix <key>", "the token reaches the VMs whose keys begin with these parts")
    .option("--all", "the token reaches every VM")
    .requiredOption("--may <rights>", "rights of docs/tokens.md, with commas between", list)
    .option("--expires <time>", "life of the token, up to 366d (default: 1h)", duration)
    .option("--label <text>", "text that `token ls` shows")
    .action(does(async () => (await tokens()).createToken));
  serverCommand(token, "ls", "list tokens, never their text", {
    examples: [["token ls", "lists the oldest first"]],
  }).action(does(async () => (await tokens()).listTokens));
  serverCommand(token, "revoke <token...>", "end tokens now, by their ids", {
    examples: [
      ["token revoke 2c6b9e0a-71d4-4f3b-8a5e-c09d14f7b362", "ends the tokens too that were made with it"],
    ],
  }).action(does(async () => (await tokens()).revokeTokens));
  serverCommand(token, "renew [token]", "make a token last its whole time again", {
    examples: [
      ["token renew", "prints new text of the token in use, which `token create --may admin` has made"],
      ["token renew 2c6b9e0a-71d4-4f3b-8a5e-c09d14f7b362", "prints new text of this token"],
    ],
  }).action(does(async () => (await tokens()).renewToken));

  const context = group(program, "context", "name servers, and choose one");
  withJson(
    localCommand(context, "add <name>", "name a server", {
      notes: "The names are in agent-vm/config.json below XDG_CONFIG_HOME, which only you can read.",
      examples: [
        ["context add prod --endpoint https://vms.example.com --token -", "reads the token from stdin"],
        ["context add local --endpoint http://localhost:6420", "names a server without a token"],
      ],
    })
      .requiredOption("--endpoint <url>", "URL of the server")
      .option("--token <token>", "token for the server; `-` reads it from stdin"),
  ).action(does(async () => (await contexts()).addContext));
  withJson(
    localCommand(context, "use <name>", "choose the server of all later commands", {
      examples: [["context use prod", "lasts until the next `context use`"]],
    }),
  ).action(does(async () => (await contexts()).useContext));
  withJson(
    localCommand(context, "ls", "list the servers", {
      examples: [["context ls", "marks the current one, and shows no tokens"]],
    }),
  ).action(does(async () => (await contexts()).listContexts));
  serverCommand(context, "show", "print the server that commands reach now", {
    examples: [["context show", "says whether a context, an option or a variable names it"]],
  }).action(does(async () => (await contexts()).showContext));
  withJson(
    localCommand(context, "rm <name>", "forget a server", {
      examples: [["context rm prod", "deletes its token from the file too"]],
    }),
  ).action(does(async () => (await contexts()).deleteContext));

  localCommand(program, "completion <shell>", "print a script that completes commands and keys", {
    examples: [
      ["completion bash > ~/.local/share/bash-completion/completions/agent-vm", "for bash"],
      ["completion zsh > ~/.zfunc/_agent-vm", "for zsh, with ~/.zfunc in fpath"],
      ["completion fish > ~/.config/fish/completions/agent-vm.fish", "for fish"],
    ],
  }).action(async (shell: string) => {
    const { completion } = await import("../actions/completion.ts");
    process.stdout.write(completion(program, shell));
  });
}
