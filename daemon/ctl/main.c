/* main - unjamctl is ctl.c. Test: tests/unit/test_ctl.c */
#include "ctl/ctl.h"

int main(int argc, char **argv)
{
        return ctl_main(argc, argv);
}
