import type { Command } from "commander";
import { pathOf } from "../commands/command.ts";
import { UsageError } from "../exit-codes.ts";

/** A command with what may follow it. */
interface Node {
  /** Words of the command, such as `session prompt`; empty for the program itself. */
  path: string;
  /** Names of subcommands. */
  commands: string[];
  /** Names of options, with their dashes. */
  options: string[];
  /** Whether the key of a VM is an argument, alone or before a path. */
  takesKey: boolean;
}

const SCRIPTS: Readonly<Record<string, (nodes: readonly Node[]) => string>> = { bash, zsh, fish };

/** Lists the keys of VMs. Keys are data: the scripts compare and quote them, and never expand them. */
const KEYS = "agent-vm ls --quiet 2>/dev/null";

/** Makes a completion script for a shell. @throws UsageError for another shell */
export function completion(program: Command, shell: string): string {
  const make = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
  if (make === undefined) throw new UsageError(`Expected bash, zsh or fish, got ${JSON.stringify(shell)}`);
  return make([...nodesOf(program)]);
}

function* nodesOf(command: Command): Generator<Node> {
  const help = command.createHelp();
  yield {
    path: pathOf(command),
    commands: help.visibleCommands(command).map((each) => each.name()),
    options: help.visibleOptions(command).flatMap(({ long }) => long ?? []),
    takesKey: command.registeredArguments.some((each) => ["key", "path", "from", "to"].includes(each.name())),
  };
  for (const child of command.commands) yield* nodesOf(child);
}

/** The table of all commands, for a `case` of bash and zsh. */
function cases(nodes: readonly Node[]): string {
  const lines = nodes.map(({ path, commands, options, takesKey }) => {
    const words = [...commands, ...options].join(" ");
    return `    '${path}') candidates='${words}' keys=${takesKey ? "yes" : ""} ;;`;
  });
  return `  case "$at" in\n${lines.join("\n")}\n  esac`;
}

/** Collects the words of the command in `at`, up to its first argument. */
function walk(nodes: readonly Node[], words: string): string {
  const known = nodes.map(({ path }) => path).join("|");
  return `  local known='|${known}|' at='' word candidates='' keys=''
  for word in ${words}; do
    [[ $word == -* ]] && continue
    [[ $known == *"|\${at:+$at }$word|"* ]] || break
    at="\${at:+$at }$word"
  done
${cases(nodes)}`;
}

/** Words before the one that is typed. */
const BASH_WORDS = `"\${COMP_WORDS[@]:1:COMP_CWORD-1}"`;
const ZSH_WORDS = `"\${(@)words[2,CURRENT-1]}"`;

function bash(nodes: readonly Node[]): string {
  return `# bash completion of agent-vm
_agent_vm() {
  local current="\${COMP_WORDS[COMP_CWORD]}"
${walk(nodes, BASH_WORDS)}
  COMPREPLY=()
  for word in $candidates; do
    [[ $word == "$current"* ]] && COMPREPLY+=("$word")
  done
  [[ -n $keys && $current != -* ]] || return 0
  while IFS= read -r word; do
    [[ $word == "$current"* ]] && COMPREPLY+=("$(printf %q "$word")")
  done < <(${KEYS})
  return 0
}
complete -o default -F _agent_vm agent-vm
`;
}

function zsh(nodes: readonly Node[]): string {
  // A file in fpath is called under its name, which docs/cli.md says.
  return `#compdef agent-vm
_agent-vm() {
${walk(nodes, ZSH_WORDS)}
  compadd -- \${=candidates}
  [[ -n $keys ]] || return 0
  compadd -- "\${(@f)$(${KEYS})}"
  _files
}
if [[ $funcstack[1] == _agent-vm ]]; then
  _agent-vm "$@"
else
  compdef _agent-vm agent-vm
fi
`;
}

function fish(nodes: readonly Node[]): string {
  const known = nodes.map(({ path }) => `'${path}'`).join(" ");
  const lines = nodes.flatMap(({ path, commands, options, takesKey }) => {
    const start = `complete -c agent-vm -n "__agent_vm_at '${path}'"`;
    return [
      ...(commands.length > 0 ? [`${start} -f -a '${commands.join(" ")}'`] : []),
      ...options.map((option) => `${start} -l ${option.replace(/^--/, "")}`),
      ...(takesKey ? [`${start} -a '(${KEYS})'`] : []),
    ];
  });
  return `# fish completion of agent-vm
function __agent_vm_at
    set -l known ${known}
    set -l at ''
    for word in (commandline -opc)[2..]
        string match -q -- '-*' $word; and continue
        set -l next (string trim -- "$at $word")
        contains -- $next $known; or break
        set at $next
    end
    test "$at" = "$argv[1]"
end
${lines.join("\n")}
`;
}
