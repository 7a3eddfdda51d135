#pragma once

/* A directory that a test has made for itself, and what is in it. */

/* The path of a file in it. Valid until eight further calls. */
const char *directory_path(const char *directory, const char *name);

/* Removes it and everything in it. */
void directory_remove(const char *directory);
