#!/bin/sh
# Prints the completions of a shell: those of swift-argument-parser, which does not know that options without a command are those of
# `run`, nor that `machine` takes them too. In front of them the words that were typed are changed so that it does.
#
# usage: completion.sh VMM bash|zsh|fish
set -eu
vmm=$1 shell=$2
# Every command but `machine`.
commands=$("$vmm" --generate-completion-script bash | sed -n "s/.*compgen -W '\(run [^']*\)'.*/\1/p" | sed 's/ machine / /')
[ -n "$commands" ]
{
case $shell in
bash)
    "$vmm" --generate-completion-script bash | sed -e '1{/^#!/d}' -e '/^complete .* vmm$/d'
    cat << 'END'

_vmm_or_run() {
    local -a words=("${COMP_WORDS[@]}")
    local -i at=COMP_CWORD
    if ((at > 1)) || [[ $2 == -* ]]; then
        case ${words[1]} in
        @CASES@) ;;
        machine) words[1]=run ;;
        *) words=("${words[0]}" run "${words[@]:1}") at+=1 ;;
        esac
    fi
    local -i first=$((at == 1))
    local -a COMP_WORDS=("${words[@]}")
    local -i COMP_CWORD=at
    _vmm "$@"
    # The first word may be a kernel.
    if ((first)); then COMPREPLY+=($(compgen -f -- "$2")); fi
}

complete -o filenames -F _vmm_or_run vmm
END
    ;;
zsh)
    "$vmm" --generate-completion-script zsh | sed -e 's/^_vmm() {/_vmm_command() {/' -e '/^if .*funcstack/,$d'
    cat << 'END'
_vmm() {
    local -a commands=(@COMMANDS@)
    if (( CURRENT == 2 )) && [[ ${words[2]} != -* ]]; then
        _vmm_command "${@}"
        # The first word may be a kernel.
        _files
        return
    fi
    if [[ ${words[2]} == machine ]]; then
        words[2]=run
    elif (( ! ${commands[(Ie)${words[2]}]} )); then
        words=("${words[1]}" run "${(@)words[2,-1]}")
        (( CURRENT++ ))
    fi
    _vmm_command "${@}"
}

if [[ "${funcstack[1]}" = _vmm ]]; then
    _vmm "${@}"
else
    compdef _vmm vmm
fi
END
    ;;
fish)
    "$vmm" --generate-completion-script fish | sed 's/^function __vmm_tokens$/function __vmm_typed/'
    cat << 'END'

function __vmm_tokens
    set -l typed (__vmm_typed $argv)
    if not string match -q -- '*t*' $argv[1]
        switch "$typed[2]"
        case @COMMANDS@
        case machine
            set typed[2] run
        case ''
            string match -q -- '-*' (commandline -t); and set typed $typed[1] run
        case '*'
            set typed $typed[1] run $typed[2..]
        end
    end
    printf '%s\n' $typed
end

# The first word may be a kernel.
complete -c vmm -n '__vmm_should_offer_completions_for_positional "vmm" -eq 1' -F
END
    ;;
esac
} | sed -e "s/@COMMANDS@/$commands/" -e "s/@CASES@/$(echo "$commands" | sed 's, ,|,g')/"
