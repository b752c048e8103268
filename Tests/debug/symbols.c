// Writes an ELF file with the symbols of a kernel, made of the text of its /proc/kallsyms: for a debugger of a kernel without such a file.
//
// usage: symbols KALLSYMS ELF
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **arguments)
{
    FILE *input = count == 3 ? fopen(arguments[1], "r") : NULL, *output = input ? fopen(arguments[2], "w") : NULL;
    if (!output) return 64;
    size_t symbols = 1, names = 1, most = 400000, bytes = 32 << 20;
    Elf64_Sym *table = calloc(most, sizeof *table);
    char *text = calloc(bytes, 1), line[1024], name[512], kind;
    unsigned long address;
    while (fgets(line, sizeof line, input) && sscanf(line, "%lx %c %511s", &address, &kind, name) == 3) {
        if (!address || !strchr("tTwW", kind) || symbols == most || names + strlen(name) + 1 > bytes) continue;
        table[symbols++] = (Elf64_Sym){names, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1, address, 0};
        names += strlen(strcpy(text + names, name)) + 1;
    }
    const char sections[] = "\0.text\0.symtab\0.strtab\0.shstrtab";
    unsigned long at = sizeof(Elf64_Ehdr), size = symbols * sizeof *table;
    Elf64_Shdr headers[] = {
        {0},
        {.sh_name = 1, .sh_type = SHT_NOBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR, .sh_addr = 0xffffffff80000000, .sh_size = 0x7ff00000},
        {.sh_name = 7, .sh_type = SHT_SYMTAB, .sh_offset = at, .sh_size = size, .sh_link = 3, .sh_info = 1, .sh_entsize = sizeof *table},
        {.sh_name = 15, .sh_type = SHT_STRTAB, .sh_offset = at + size, .sh_size = names},
        {.sh_name = 23, .sh_type = SHT_STRTAB, .sh_offset = at + size + names, .sh_size = sizeof sections},
    };
    Elf64_Ehdr header = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT}, .e_type = ET_EXEC, .e_machine = EM_X86_64,
        .e_version = EV_CURRENT, .e_shoff = at + size + names + sizeof sections, .e_ehsize = sizeof header,
        .e_shentsize = sizeof *headers, .e_shnum = 5, .e_shstrndx = 4,
    };
    fwrite(&header, sizeof header, 1, output);
    fwrite(table, sizeof *table, symbols, output);
    fwrite(text, 1, names, output);
    fwrite(sections, sizeof sections, 1, output);
    fwrite(headers, sizeof *headers, 5, output);
    return fclose(output) || symbols < 1000;
}
