// What the embedding example calls of a C library.
#pragma once
#include <stddef.h>

_Noreturn void exit(int code);
int memcmp(const void *left, const void *right, size_t count);
