#include "cli/command.h"

int main(int argc, char** argv) { return trimma::RunProgram(argc, argv); }
